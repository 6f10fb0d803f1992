//! Real commands that decide, crash, hang, flood and babble, at each point of the turn.
//! Refuses to look inside: every command is called through the chain, as the engine does.

mod failing;
mod hearing;
mod words;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{event::EVENTS, *};
use crate::{
    hook::{ChildEnd, HookContext, Point, Preamble, Spawn, Verdict},
    id::{CallId, SessionId, TurnId},
    message::{Message, Note, Outcome, ToolCall, ToolResult, Urgency},
    options::Options,
    scope::Scope,
};

const TIMEOUT: Duration = Duration::from_millis(250);

/// What a point said, in words that can be compared.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    Keep,
    Change(String),
    Refuse(String),
}

fn said<T>(verdict: Verdict<T>, words: impl FnOnce(T) -> String) -> Said {
    match verdict {
        Verdict::Keep => Said::Keep,
        Verdict::Change(value) => Said::Change(words(value)),
        Verdict::Refuse(reason) => Said::Refuse(reason),
    }
}

fn place(event: &Event) -> HookContext {
    let root = Scope::root();
    let scope = match event.name {
        // A kind whose name ends in digits, and its second child.
        "SubagentStop" => root.child_at(root.path().nth("phase-3", 2)),
        _ => root,
    };
    HookContext::new(SessionId::new("s1"), TurnId(3), scope)
}

fn call() -> ToolCall {
    ToolCall::new(CallId::new("c1"), "Bash", r#"{"command": "ls"}"#)
}

/// Calls the hooks at a point, with the word `shown` wherever a point shows words.
async fn at(hooks: &Hooks, point: Point, at: &HookContext) -> Said {
    let text = |text: String| text;
    let message = |message: Message| message.text();
    match point {
        Point::OnSubmit => said(hooks.on_submit(at, &"shown".into()).await, message),
        Point::BeforeRequest => {
            let preamble = Preamble {
                system: "shown".into(),
                options: Options::default(),
            };
            said(hooks.before_request(at, &preamble).await, |p| p.system)
        }
        Point::AfterResponse => {
            let answer = Message::assistant("shown");
            said(hooks.after_response(at, &answer).await, |()| String::new())
        }
        Point::BeforeTool => {
            let input = json!({"command": "ls"});
            let verdict = hooks.before_tool(at, &call(), &input).await;
            said(verdict, |input| input.to_string())
        }
        Point::AfterTool => {
            let result = ToolResult::text(&call(), Outcome::Ok, "shown");
            let verdict = hooks.after_tool(at, &call(), &result).await;
            said(verdict, |result| result.joined_text())
        }
        Point::OnStop => said(hooks.on_stop(at, "shown").await, message),
        Point::BeforeCompact => said(hooks.before_compact(at, 7).await, text),
        Point::OnSpawn => {
            let spawn = Spawn::new(at.agent.nth("explore", 3), "explore", "shown");
            said(hooks.on_spawn(at, &spawn).await, text)
        }
        Point::OnChildEnd => {
            let place = at.agent.nth("explore", 3);
            let end = ChildEnd::new(place, "explore", Outcome::Ok, "shown");
            said(hooks.on_child_end(at, &end).await, text)
        }
        Point::OnNote => {
            let note = Note {
                from: "user".into(),
                text: "shown".into(),
                urgency: Urgency::NextStep,
            };
            said(hooks.on_note(at, &note).await, text)
        }
        Point::OnSessionStart => said(hooks.on_session_start(at).await, text),
        Point::OnSessionEnd => {
            hooks.on_session_end(at).await;
            Said::Keep
        }
    }
}

fn hooks(event: &str, command: &str) -> Hooks {
    let row = CommandHook::new(event, "", command).unwrap();
    command_hooks([&row], std::env::temp_dir())
}

async fn ask(event: &Event, command: &str) -> Said {
    at(&hooks(event.name, command), event.point, &place(event)).await
}

fn named(name: &str) -> &'static Event {
    Event::named(name).unwrap()
}

/// What the guide promises of a refusal for this reason.
fn refused(event: &Event, reason: &str) -> Said {
    match event.point {
        Point::OnSessionEnd => Said::Keep,
        Point::OnStop => Said::Change(reason.into()),
        _ if event.keeps_result() => Said::Change(format!("shown\n{reason}")),
        _ => Said::Refuse(reason.into()),
    }
}
