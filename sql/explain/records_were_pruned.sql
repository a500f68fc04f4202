SELECT pruned_records > 0 FROM delivery_total
