//! Where we read a stream otherwise than the vendor's SDK does, and why.
//! Refuses old rows: one that no longer differs fails the test, and so does one without a reason.

use super::vectors::Vendor;

/// One field of one case.
pub(super) struct Difference {
    pub(super) vendor: Vendor,
    pub(super) case: &'static str,
    pub(super) field: &'static str,
    /// What we read, as JSON.
    pub(super) ours: &'static str,
    pub(super) why: &'static str,
}

const fn row(
    vendor: Vendor,
    case: &'static str,
    field: &'static str,
    ours: &'static str,
    why: &'static str,
) -> Difference {
    Difference {
        vendor,
        case,
        field,
        ours,
        why,
    }
}

const SHOWN: &str = "a refusal's words are shown like any words, so that nobody looks at nothing";
const CUSTOM: &str = "only tools that we declare are run, and no custom tool is ever declared";
const POLICY: &str =
    "a prompt that a policy stops is a refusal, which no other model is asked about";

use Vendor::{Chat, Responses};

pub(super) const DIFFERENCES: &[Difference] = &[
    row(
        Responses,
        "refusal",
        "text",
        r#"["I'm sorry, but no."]"#,
        SHOWN,
    ),
    row(Responses, "refusal", "order", r#"["text"]"#, SHOWN),
    row(Responses, "tool-custom", "calls", "[]", CUSTOM),
    row(
        Responses,
        "tool-custom",
        "opaque",
        r#"["custom_tool_call"]"#,
        CUSTOM,
    ),
    row(Responses, "tool-custom", "order", r#"["opaque"]"#, CUSTOM),
    row(Responses, "failed-invalid-prompt", "error", "null", POLICY),
    row(
        Responses,
        "failed-invalid-prompt",
        "stop_raw",
        r#""invalid_prompt""#,
        POLICY,
    ),
    row(Responses, "failed-bio-policy", "error", "null", POLICY),
    row(
        Responses,
        "failed-bio-policy",
        "stop_raw",
        r#""bio_policy""#,
        POLICY,
    ),
    row(Chat, "refusal", "text", r#"["I'm sorry, no."]"#, SHOWN),
    row(Chat, "refusal", "order", r#"["text"]"#, SHOWN),
    row(
        Chat,
        "quirk-id-same",
        "calls",
        r#"[
            {"id": "call_1", "name": "Read", "arguments": {"path": "a"}},
            {"id": null, "name": "Read", "arguments": {"path": "b"}}
        ]"#,
        "two calls of one id could not be answered apart; the second gets an id of ours",
    ),
];

#[test]
fn every_difference_has_a_reason() {
    for row in DIFFERENCES {
        assert!(row.why.len() > 20, "{}: {}", row.case, row.field);
    }
}
