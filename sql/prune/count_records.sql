UPDATE delivery_total SET pruned_records = pruned_records + :records WHERE only_row = 1
