//! `ListAgents`: who lives in this tree, doing what.
//! Refuses to list without end.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{grant, one_line};
use crate::{
    registry::AgentRow,
    spec::{Lane, ToolSpec},
    tool::{ToolContext, ToolOutput, TypedTool},
};

/// Agents that one answer lists.
const MAX_ROWS: usize = 200;

pub(super) struct ListAgents;

/// Lists the agents of this tree that live: where, which kind, what for, what they wait for.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Input {}

impl TypedTool for ListAgents {
    const NAME: &'static str = super::super::LIST_AGENTS;
    type Input = Input;

    fn manners(&self, spec: ToolSpec) -> ToolSpec {
        spec.reads().lane(Lane::Free)
    }

    async fn call(&self, ctx: ToolContext, _: Input) -> ToolOutput {
        let grant = match grant(&ctx) {
            Ok(grant) => grant,
            Err(refused) => return refused,
        };
        let rows = grant.desk.registry().tree(grant.desk.session());
        let mut text: String = rows
            .iter()
            .take(MAX_ROWS)
            .map(|row| line(row, &ctx))
            .collect();
        if rows.len() > MAX_ROWS {
            text.push_str(&format!("… and {} more\n", rows.len() - MAX_ROWS));
        }
        ToolOutput::ok(text)
    }
}

fn line(row: &AgentRow, ctx: &ToolContext) -> String {
    let you = if row.path == *ctx.agent() {
        " (you)"
    } else {
        ""
    };
    let mail = match row.unread {
        0 => String::new(),
        count => format!(", {count} unread"),
    };
    format!(
        "{}{you}: {} \"{}\", {}, {:.1} s{mail}\n",
        row.path,
        row.kind,
        one_line(&row.description),
        row.state,
        row.age.as_secs_f64()
    )
}
