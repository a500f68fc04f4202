//! What the gate says of why it is closed.

use super::*;

#[test]
fn a_closed_gate_keeps_why_it_closed_and_tells_the_last_probe_beside_it() {
    let (gate, changes) = open_gate(RULES);
    for record in 0..3 {
        send(&gate, record, Verdict::Dead, 422);
    }
    let cause = gate.sign();
    let told = |text: &str| Answer {
        message: text.into(),
        ..answer(Verdict::Retry(None), Some(500))
    };
    for text in ["HTTP 500", "HTTP 502"] {
        gate.leave(probe(&gate), &told(text));
        let reason = cause.reason.clone().unwrap();
        let sign = gate.sign();
        assert_eq!(
            sign.reason.as_deref(),
            Some(&*format!("{reason}; last probe: {text}"))
        );
        assert!(sign.is_like(&cause), "it is no news");
    }
    let last = changes.try_iter().last().unwrap();
    let (sender, _receiver) = unbounded();
    let restarted = Gate::new(RULES, last.sign.clone(), Some(Duration::ZERO), sender);
    assert_eq!(restarted.sign().reason, last.sign.reason);
    restarted.leave(probe(&restarted), &told("HTTP 503"));
    let reason = restarted.sign().reason.unwrap();
    assert!(
        reason.ends_with("; last probe: HTTP 503") && !reason.contains("502"),
        "{reason}"
    );
    restarted.leave(probe(&restarted), &told("as it was told"));
    assert_eq!(restarted.sign(), cause, "the cause tells it");
}
