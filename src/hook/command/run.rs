//! One command as a hook: what it is told at each point, and what its answer does there.
//! Refuses to wait for a command beyond its deadline; the program is ended behind its back.

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{
    super::{ChildEnd, Hook, HookContext, Point, Preamble, Spawn, Verdict},
    CommandHook, MAX_HOOK_OUTPUT,
    marks::{Mark, Marks},
    reply::{Reply, Wish},
};
use crate::{
    event::Ground,
    message::{Content, Message, Note, Part, ToolCall, ToolResult, Urgency},
    process::{self, Limits, Program},
    scope::Scope,
};

/// Characters of a command that its name shows.
const SHOWN: usize = 60;

/// One command, and what it shares with the others of its folder.
pub(super) struct Command {
    row: CommandHook,
    folder: Arc<Path>,
    marks: Arc<Marks>,
    name: String,
}

impl Command {
    pub(super) fn new(row: CommandHook, folder: Arc<Path>, marks: Arc<Marks>) -> Self {
        let line: String = row.command.chars().take(SHOWN).collect();
        Self {
            name: format!("{} {}", row.event.name, line.escape_debug()),
            row,
            folder,
            marks,
        }
    }

    fn hears(&self, point: Point, at: &HookContext, name: &str) -> bool {
        self.row.event.hears(point, &at.agent) && self.row.matches(name)
    }

    /// Runs the command and reads its answer.
    async fn ask(&self, at: &HookContext, scope: &Scope, more: Value) -> Reply {
        let mut told = json!({
            "session_id": at.session,
            "cwd": self.folder.to_string_lossy(),
            "hook_event_name": self.row.event.name,
            "agent": at.agent,
            "agent_type": at.agent.name(),
            "turn": at.turn,
        });
        if let (Value::Object(told), Value::Object(more)) = (&mut told, more) {
            told.extend(more);
        }
        let program = Program::shell(&self.row.command)
            .named(&self.name)
            .cwd(&*self.folder)
            .environment(&at.environment)
            .env("CLAUDE_PROJECT_DIR", &*self.folder)
            .env("OFFSHOOT_PROJECT_DIR", &*self.folder)
            .stdin(told.to_string());
        let limits = Limits::default()
            .deadline(self.row.timeout)
            .output(MAX_HOOK_OUTPUT);
        match process::run(scope, program, limits).await {
            Ok(done) => Reply::of(self.row.event, &done),
            Err(error) => Reply::Broken(format!("failed: {error}")),
        }
    }

    /// Makes a verdict of an answer.
    fn judge<T>(
        &self,
        at: &HookContext,
        reply: Reply,
        change: impl FnOnce(Wish) -> Option<T>,
    ) -> Verdict<T> {
        match reply {
            Reply::Wish(wish) => change(wish).map_or(Verdict::Keep, Verdict::Change),
            Reply::Block(reason) => Verdict::Refuse(self.spoken(reason)),
            Reply::End(reason) => {
                let reason = self.spoken(reason);
                self.marks.set(at, Mark::Ends(reason.clone()));
                Verdict::Refuse(reason)
            }
            Reply::Broken(why) => self.broken(&why),
        }
    }

    fn spoken(&self, reason: String) -> String {
        if reason.is_empty() {
            format!("the hook `{}` refuses it", self.name)
        } else {
            reason
        }
    }

    fn broken<T>(&self, why: &str) -> Verdict<T> {
        let broken = format!("the hook `{}` {why}", self.name);
        tracing::warn!("{broken}");
        if self.row.event.point.fails_closed() {
            Verdict::Refuse(broken)
        } else {
            Verdict::Keep
        }
    }
}

#[async_trait]
impl Hook for Command {
    fn name(&self) -> &str {
        &self.name
    }

    fn deadline(&self) -> Duration {
        self.row.timeout
    }

    async fn on_submit(&self, at: &HookContext, message: &Message) -> Verdict<Message> {
        if !self.hears(Point::OnSubmit, at, "") {
            return Verdict::Keep;
        }
        let told = json!({"prompt": message.text()});
        let reply = self.ask(at, &at.scope, told).await;
        self.judge(at, reply, |wish| reworded(message, wish))
    }

    async fn before_request(&self, at: &HookContext, preamble: &Preamble) -> Verdict<Preamble> {
        if let Some(reason) = self.marks.end_of(at) {
            return Verdict::Refuse(reason);
        }
        if !self.hears(Point::BeforeRequest, at, "") {
            return Verdict::Keep;
        }
        let options = format!("{:?}", preamble.options);
        let told = json!({"system": preamble.system, "model_options": options});
        let reply = self.ask(at, &at.scope, told).await;
        self.judge(at, reply, |wish| {
            let system = wish.reword(&preamble.system)?;
            let options = preamble.options.clone();
            Some(Preamble { system, options })
        })
    }

    async fn after_response(&self, at: &HookContext, message: &Message) -> Verdict<()> {
        if !self.hears(Point::AfterResponse, at, "") {
            return Verdict::Keep;
        }
        let told = json!({"last_assistant_message": message.text()});
        let reply = self.ask(at, &at.scope, told).await;
        self.judge(at, reply, |_| None)
    }

    async fn before_tool(
        &self,
        at: &HookContext,
        call: &ToolCall,
        input: &Value,
    ) -> Verdict<Value> {
        if !self.hears(Point::BeforeTool, at, &call.name) {
            return Verdict::Keep;
        }
        let told = json!({"tool_name": call.name, "tool_use_id": call.id, "tool_input": input});
        let reply = self.ask(at, &at.scope, told).await;
        self.judge(at, reply, |wish| wish.input)
    }

    async fn after_tool(
        &self,
        at: &HookContext,
        call: &ToolCall,
        result: &ToolResult,
    ) -> Verdict<ToolResult> {
        if !self.hears(Point::AfterTool, at, &call.name) {
            return Verdict::Keep;
        }
        let told = json!({
            "tool_name": call.name,
            "tool_use_id": call.id,
            "tool_input": call.input,
            "tool_response": {"outcome": result.outcome, "text": result.joined_text()},
        });
        let reply = self.ask(at, &at.scope, told).await;
        let verdict = self.judge(at, reply, |wish| answered(result, wish));
        match verdict {
            Verdict::Refuse(reason) if self.row.event.keeps_result() => {
                Verdict::Change(beside(result.clone(), reason))
            }
            verdict => verdict,
        }
    }

    async fn on_stop(&self, at: &HookContext, text: &str) -> Verdict<Message> {
        if !self.hears(Point::OnStop, at, at.agent.name()) {
            return Verdict::Keep;
        }
        let told = json!({
            "last_assistant_message": text,
            "stop_hook_active": self.marks.is_pushed(at),
        });
        match self.ask(at, &at.scope, told).await {
            Reply::Block(reason) => {
                self.marks.set(at, Mark::Pushed);
                Verdict::Change(Message::user(self.spoken(reason)))
            }
            Reply::Broken(why) => self.broken(&why),
            Reply::Wish(_) | Reply::End(_) => Verdict::Keep,
        }
    }

    async fn before_compact(&self, at: &HookContext, tokens: u64) -> Verdict<String> {
        if !self.hears(Point::BeforeCompact, at, "auto") {
            return Verdict::Keep;
        }
        let told = json!({"trigger": "auto", "tokens": tokens});
        let reply = self.ask(at, &at.scope, told).await;
        self.judge(at, reply, |wish| wish.text.or(wish.more))
    }

    async fn on_spawn(&self, at: &HookContext, spawn: &Spawn) -> Verdict<String> {
        if !self.hears(Point::OnSpawn, at, &spawn.kind) {
            return Verdict::Keep;
        }
        let told = json!({
            "agent": spawn.agent,
            "agent_type": spawn.kind,
            "parent": at.agent,
            "description": spawn.description,
            "prompt": spawn.prompt,
            "run_in_background": spawn.ground == Ground::Background,
        });
        let reply = self.ask(at, &at.scope, told).await;
        self.judge(at, reply, |wish| wish.reword(&spawn.prompt))
    }

    async fn on_child_end(&self, at: &HookContext, end: &ChildEnd) -> Verdict<String> {
        if !self.hears(Point::OnChildEnd, at, &end.kind) {
            return Verdict::Keep;
        }
        let told = json!({
            "agent": end.agent,
            "agent_type": end.kind,
            "parent": at.agent,
            "outcome": end.outcome,
            "text": end.text,
        });
        let reply = self.ask(at, &at.scope, told).await;
        self.judge(at, reply, |wish| wish.reword(&end.text))
    }

    async fn on_note(&self, at: &HookContext, note: &Note) -> Verdict<String> {
        if !self.hears(Point::OnNote, at, &note.from) {
            return Verdict::Keep;
        }
        let urgency = match note.urgency {
            Urgency::Interrupt => "interrupt",
            Urgency::NextStep => "next_step",
            Urgency::WhenIdle => "when_idle",
        };
        let told = json!({"message": note.text, "from": note.from, "urgency": urgency});
        let reply = self.ask(at, &at.scope, told).await;
        self.judge(at, reply, |wish| wish.reword(&note.text))
    }

    async fn on_session_start(&self, at: &HookContext) -> Verdict<String> {
        let source = if at.resumed { "resume" } else { "startup" };
        if !self.hears(Point::OnSessionStart, at, source) {
            return Verdict::Keep;
        }
        let reply = self.ask(at, &at.scope, json!({"source": source})).await;
        self.judge(at, reply, |wish| wish.text.or(wish.more))
    }

    async fn on_session_end(&self, at: &HookContext) {
        if !self.hears(Point::OnSessionEnd, at, "other") {
            return;
        }
        // The session's own scope may be cancelled by now; the deadline still holds, and whoever
        // stops waiting ends the command.
        let own = Scope::root();
        let scope = if at.scope.is_cancelled() {
            &own
        } else {
            &at.scope
        };
        let reply = self.ask(at, scope, json!({"reason": "other"})).await;
        if let Reply::Broken(why) = reply {
            self.broken::<()>(&why);
        }
    }
}

/// A message with other words or more words; its pictures stay.
fn reworded(message: &Message, wish: Wish) -> Option<Message> {
    if wish.text.is_none() && wish.more.is_none() {
        return None;
    }
    let mut message = message.clone();
    if let Some(text) = wish.text {
        let is_text = |part: &Part| matches!(part, Part::Text { .. });
        message.parts.retain(|part| !is_text(part));
        message.parts.insert(0, Part::text(text));
    }
    message.parts.extend(wish.more.map(Part::text));
    Some(message)
}

/// A result with other words or more words; its pictures stay.
fn answered(result: &ToolResult, wish: Wish) -> Option<ToolResult> {
    if wish.text.is_none() && wish.more.is_none() {
        return None;
    }
    let mut result = result.clone();
    if let Some(text) = wish.text {
        result
            .content
            .retain(|part| !matches!(part, Content::Text(_)));
        result.content.insert(0, Content::Text(text));
    }
    Some(match wish.more {
        Some(more) => beside(result, more),
        None => result,
    })
}

fn beside(mut result: ToolResult, words: String) -> ToolResult {
    result.content.push(Content::Text(format!("\n{words}")));
    result
}
