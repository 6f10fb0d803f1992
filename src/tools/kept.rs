//! `KeptOutput`: reads on in an output whose middle was left out of a result.
//! Refuses other files: it knows names that results gave, and nothing else.

use std::{borrow::Cow, sync::Arc};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    backend::Grant,
    spec::ToolSpec,
    store::read_kept,
    tool::{Tool, ToolContext, ToolOutput, TypedTool, typed},
};

/// Bytes that one answer gives when nobody says otherwise, and at most.
const LIMIT: usize = 30_000;

/// The tool.
#[derive(Debug)]
struct KeptOutput;

#[derive(Debug, Deserialize, JsonSchema)]
struct Input {
    /// The name that stands where the middle was left out.
    name: String,
    /// The byte to begin at; the first is 0.
    #[serde(default)]
    offset: u64,
    /// At most so many bytes.
    #[serde(default)]
    #[schemars(range(min = 1, max = 30_000))]
    limit: Option<usize>,
}

/// The tool `KeptOutput`, by which a model reads on in a large result of its session: a session with
/// a store keeps the whole of what is cut, and the result says under which name.
///
/// ```
/// assert_eq!(offshoot::tools::kept_output().spec().name, "KeptOutput");
/// ```
pub fn kept_output() -> Arc<dyn Tool> {
    typed(KeptOutput)
}

impl TypedTool for KeptOutput {
    const NAME: &'static str = "KeptOutput";
    type Input = Input;

    fn description(&self) -> Cow<'static, str> {
        "Reads a part of a large tool result whose middle was left out. Takes the name that stands \
         where it was left out, and the byte to begin at."
            .into()
    }

    fn manners(&self, spec: ToolSpec) -> ToolSpec {
        spec.reads().subject("name")
    }

    async fn call(&self, ctx: ToolContext, input: Input) -> ToolOutput {
        let store = Grant::of(&ctx).and_then(|grant| grant.log.store());
        let Some(store) = store else {
            return ToolOutput::failed("This session keeps no outputs: it has no store.");
        };
        let limit = input.limit.unwrap_or(LIMIT).min(LIMIT);
        match read_kept(store, &input.name, input.offset, limit).await {
            Ok((bytes, total)) => {
                let from = input.offset.min(total);
                let to = from + bytes.len() as u64;
                let text = String::from_utf8_lossy(&bytes);
                ToolOutput::ok(format!("[bytes {from} to {to} of {total}]\n{text}"))
            }
            Err(error) => {
                let hint = error.hint().map(|hint| format!(" ({hint})"));
                ToolOutput::failed(format!("{error}{}", hint.unwrap_or_default()))
            }
        }
    }
}
