//! The agents below the root as a person reads of them: a line each while they live, and the bill.
//! Refuses to print, and to let a name or a description move the cursor.

use std::collections::BTreeMap;

use super::{render::short, terminal::harmless};
use crate::{
    event::{Event, EventKind, Ground},
    id::AgentPath,
    registry::AgentRow,
    usage::{Cost, Spending, Usage},
};

/// Rows of the bill that are shown.
const MAX_ROWS: usize = 40;

/// The agents below the root that live.
#[derive(Debug, Default)]
pub(super) struct Crew(BTreeMap<AgentPath, Member>);

#[derive(Debug)]
struct Member {
    what: String,
    doing: String,
    usage: Usage,
    cost: Cost,
}

impl Crew {
    /// Hears an event of an agent below the root.
    pub(super) fn hear(&mut self, event: &Event) {
        if let EventKind::ChildStart {
            kind,
            description,
            ground,
            ..
        } = &event.kind
        {
            let ground = match ground {
                Ground::Background => ", in the background",
                Ground::Foreground => "",
            };
            let member = Member {
                what: short(&harmless(&format!("{kind}{ground}: {description}"))),
                doing: "starting".into(),
                usage: Usage::default(),
                cost: Cost::default(),
            };
            self.0.insert(event.agent.clone(), member);
            return;
        }
        if let EventKind::ChildEnd { .. } = &event.kind {
            self.0.remove(&event.agent);
            return;
        }
        let Some(member) = self.0.get_mut(&event.agent) else {
            return;
        };
        if let EventKind::MessageEnd { usage, cost, .. } = &event.kind {
            member.usage += *usage;
            member.cost += *cost;
        }
        if let Some(doing) = doing(&event.kind) {
            member.doing = doing;
        }
    }

    /// Forgets all others.
    pub(super) fn only(&mut self, living: &[AgentRow]) {
        self.0
            .retain(|path, _| living.iter().any(|row| row.path == *path));
    }

    /// A line for each, at most so many.
    pub(super) fn lines(&self, most: usize) -> Vec<String> {
        let line = |(path, member): (&AgentPath, &Member)| {
            format!(
                "  {path} · {} · {} · {} tokens · {}",
                member.what,
                member.doing,
                member.usage.total(),
                member.cost
            )
        };
        let all = self.0.len();
        if all <= most {
            return self.0.iter().map(line).collect();
        }
        let shown = most.saturating_sub(1);
        let mut lines: Vec<_> = self.0.iter().take(shown).map(line).collect();
        lines.push(format!("  … {} more", all - shown));
        lines
    }
}

/// What an agent does after this event, where it says so.
pub(super) fn doing(kind: &EventKind) -> Option<String> {
    Some(match kind {
        EventKind::ThinkingDelta { .. }
        | EventKind::ToolEnd { .. }
        | EventKind::TurnStart { .. } => "thinking".into(),
        EventKind::TextDelta { .. } => "writing".into(),
        EventKind::CallDelta {
            name: Some(name), ..
        } => format!("asking for {}", harmless(name)),
        EventKind::ToolStart { name, .. } => format!("running {}", harmless(name)),
        EventKind::Approval { name, .. } => format!("waiting for a yes to {}", harmless(name)),
        EventKind::Retrying { .. } => "waiting to try again".into(),
        EventKind::TurnEnd { .. } => "ending".into(),
        _ => return None,
    })
}

/// Who used what, over all turns of the root.
#[derive(Debug, Default)]
pub(super) struct Bill(BTreeMap<(AgentPath, Option<String>), (Usage, Cost)>);

impl Bill {
    /// Takes what the end of a root's turn says.
    pub(super) fn add(&mut self, rows: &[Spending]) {
        for row in rows {
            let key = (row.agent.clone(), row.tool.clone());
            let (usage, cost) = self.0.entry(key).or_default();
            *usage += row.usage;
            *cost += row.cost;
        }
    }

    /// A line for each agent and each tool; none when it was one agent alone.
    pub(super) fn lines(&self) -> Vec<String> {
        if self.0.len() < 2 {
            return Vec::new();
        }
        let line = |name: &str, usage: &Usage, cost: &Cost| {
            let name = harmless(name);
            format!("  {name:<40} {:>10} tokens · {cost}", usage.total())
        };
        let mut lines = vec!["by agent:".to_owned()];
        let rows = self.0.iter().take(MAX_ROWS);
        lines.extend(rows.map(|((agent, _), (usage, cost))| line(agent.as_str(), usage, cost)));
        if self.0.len() > MAX_ROWS {
            lines.push(format!("  … {} more", self.0.len() - MAX_ROWS));
        }
        let mut tools: BTreeMap<&str, (Usage, Cost)> = BTreeMap::new();
        for ((_, tool), (usage, cost)) in &self.0 {
            let tool = tool.as_deref().unwrap_or("(the agent itself)");
            let (sum, price) = tools.entry(tool).or_default();
            *sum += *usage;
            *price += *cost;
        }
        lines.push("by tool:".to_owned());
        lines.extend(
            tools
                .iter()
                .map(|(tool, (usage, cost))| line(tool, usage, cost)),
        );
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::TurnId;

    fn event(n: u64, kind: EventKind) -> Event {
        Event {
            seq: n,
            agent: AgentPath::root().nth("explore", n),
            parent: Some(AgentPath::root()),
            turn: TurnId(1),
            kind,
        }
    }

    fn start(n: u64, description: &str) -> Event {
        event(
            n,
            EventKind::ChildStart {
                kind: "explore".into(),
                description: description.into(),
                ground: Ground::Foreground,
                call: None,
            },
        )
    }

    #[test]
    fn each_living_agent_has_a_line_and_the_rest_is_counted() {
        let mut crew = Crew::default();
        for n in 1..=5 {
            crew.hear(&start(n, "look\x1b[2J around"));
        }
        let lines = crew.lines(10);
        assert_eq!(lines.len(), 5);
        assert!(lines[0].contains("root/explore/1"), "{lines:?}");
        assert!(!lines[0].contains('\x1b'), "{lines:?}");
        let lines = crew.lines(3);
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[2], "  … 3 more");
        let (outcome, text) = (crate::message::Outcome::Ok, String::new());
        let (usage, cost) = (Usage::default(), Cost::default());
        for n in 1..=4 {
            let text = text.clone();
            crew.hear(&event(
                n,
                EventKind::ChildEnd {
                    outcome,
                    text,
                    usage,
                    cost,
                },
            ));
        }
        assert_eq!(crew.lines(3).len(), 1);
    }

    #[test]
    fn the_bill_adds_up_by_agent_and_by_tool() {
        let used = |input| Usage {
            input,
            ..Usage::default()
        };
        let row = |path: AgentPath, tool: Option<&str>, input| {
            Spending::new(path, tool.map(Into::into), used(input), Cost::default())
        };
        let mut bill = Bill::default();
        bill.add(&[row(AgentPath::root(), None, 10)]);
        assert!(bill.lines().is_empty(), "one agent alone needs no table");
        bill.add(&[
            row(AgentPath::root(), None, 5),
            row(AgentPath::root().nth("explore", 1), Some("Agent"), 7),
            row(AgentPath::root().nth("explore", 2), Some("Agent"), 8),
        ]);
        let lines = bill.lines();
        let has = |name: &str, tokens: &str| {
            let found = lines
                .iter()
                .find(|line| line.trim_start().starts_with(name));
            assert!(found.unwrap().contains(tokens), "{lines:?}");
        };
        has("root ", " 15 tokens");
        has("root/explore/2 ", " 8 tokens");
        has("Agent ", " 15 tokens");
    }
}
