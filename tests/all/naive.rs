//! A loop as it is written on the first day: the same session, models and tools, and no defence.
//! Refuses nothing, which is what it is for: proofs must see what goes wrong with it.

use std::sync::{Arc, Mutex};

use async_stream::stream;
use futures::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{BoxStream, FuturesUnordered},
};
use offshoot::{
    Agent, AgentBuilder, AgentPath, Answer, Backend, CallId, Capabilities, Control, Conversation,
    Cost, Event, EventKind, Grant, Kept, Message, Note, Options, Outcome, Part, Receipt, Result,
    Role, Scope, Session, SessionBuilder, StopReason, Task, Tool, ToolCall, ToolContext,
    ToolOutput, ToolResult, TurnId, Usage,
    provider::{Delta, Provider, Request},
};

/// Model calls of one turn, so that a test without limits ends.
const STEPS: usize = 60;

/// Whatever a session can be opened with.
pub(crate) trait Opens {
    fn opens(self) -> SessionBuilder;
}

impl Opens for AgentBuilder {
    fn opens(self) -> SessionBuilder {
        Session::builder(self.build().unwrap())
    }
}

impl Opens for Naive {
    fn opens(self) -> SessionBuilder {
        Session::builder(self)
    }
}

/// Our agent, with nothing set.
pub(crate) fn ours(model: impl Provider, tools: Vec<Arc<dyn Tool>>) -> AgentBuilder {
    Agent::builder(model).tools(tools)
}

/// The agent of the first day.
pub(crate) fn naive(model: impl Provider, tools: Vec<Arc<dyn Tool>>) -> Naive {
    Naive {
        model: Arc::new(model),
        tools,
    }
}

/// See [`naive`].
#[derive(Clone)]
pub(crate) struct Naive {
    model: Arc<dyn Provider>,
    tools: Vec<Arc<dyn Tool>>,
}

impl std::fmt::Debug for Naive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Naive").field(&self.model).finish()
    }
}

impl Backend for Naive {
    fn capabilities(&self) -> Capabilities {
        Capabilities::FULL
    }

    fn open(self: Arc<Self>, grant: Grant) -> BoxFuture<'static, Result<Box<dyn Conversation>>> {
        let talk = Talk {
            agent: self,
            grant,
            history: Vec::new(),
            mail: Arc::default(),
            turns: 0,
        };
        async { Ok(Box::new(talk) as Box<dyn Conversation>) }.boxed()
    }
}

type Mail = Arc<Mutex<Vec<Note>>>;

struct Talk {
    agent: Arc<Naive>,
    grant: Grant,
    history: Vec<Message>,
    mail: Mail,
    turns: u64,
}

struct Letters(Mail);

impl Control for Letters {
    fn steer(&self, note: Note) -> Result<()> {
        self.0.lock().unwrap().push(note);
        Ok(())
    }

    fn interrupt(&self) -> Receipt {
        Receipt::default()
    }

    fn answer(&self, _: &str, _: Answer) -> Result<()> {
        Ok(())
    }
}

impl Conversation for Talk {
    fn turn(&mut self, task: Task, scope: Scope) -> BoxStream<'_, Event> {
        self.turns += 1;
        let turn = TurnId(self.turns);
        let event = move |kind| Event {
            seq: 0,
            agent: AgentPath::root(),
            parent: None,
            turn,
            kind,
        };
        let end = |stop, text| EventKind::TurnEnd {
            stop,
            text,
            usage: Usage::default(),
            cost: Cost::default(),
            children: Vec::new(),
            spent_by: Vec::new(),
        };
        let agent = self.agent.clone();
        stream! {
            yield event(EventKind::TurnStart { text: task.text() });
            self.history.extend(task.message);
            for _ in 0..STEPS {
                let mail = std::mem::take(&mut *self.mail.lock().unwrap());
                for note in mail {
                    self.history.push(Message::user(match &*note.from {
                        Note::PERSON => note.text,
                        from => format!("<note from=\"{from}\">\n{}\n</note>", note.text),
                    }));
                }
                // Looked at between two steps, and nowhere else.
                if scope.is_cancelled() {
                    yield event(end(StopReason::Cancelled, String::new()));
                    return;
                }
                let specs = agent.tools.iter().map(|tool| tool.spec().clone());
                let specs = Kept::new(specs.collect());
                // Encoded anew for each request.
                let history: Vec<_> = self.history.iter().cloned().map(Kept::new).collect();
                let request = Request {
                    system: "",
                    tools: &specs,
                    history: (&history).into(),
                    options: &Options::default(),
                };
                let mut deltas = match agent.model.stream(&request, &scope) {
                    Ok(deltas) => deltas,
                    Err(error) => {
                        yield event(end(StopReason::failed(error), String::new()));
                        return;
                    }
                };
                let mut said = Said::default();
                while let Some(delta) = deltas.next().await {
                    match delta {
                        Err(error) => {
                            yield event(end(StopReason::failed(error), String::new()));
                            return;
                        }
                        Ok(Delta::Stop { .. }) => break,
                        Ok(delta) => if let Some(kind) = said.take(delta) {
                            yield event(kind);
                        }
                    }
                }
                // Told first, booked later.
                yield event(EventKind::MessageEnd {
                    model: String::new(),
                    stop: "end".into(),
                    usage: said.usage,
                    cost: Cost::default(),
                });
                self.grant.meter.charge(&said.usage, Cost::default());
                let (text, calls) = (said.text.clone(), said.calls());
                self.history.push(said.message(&calls));
                if calls.is_empty() {
                    yield event(end(StopReason::Finished, text));
                    return;
                }
                // As they land, those that are known, with whatever arguments came.
                let mut landing = FuturesUnordered::new();
                for call in &calls {
                    let tool = agent.tools.iter().find(|tool| tool.spec().name == call.name);
                    let Some(tool) = tool.cloned() else { continue };
                    let input = serde_json::from_str(call.input.as_str()).unwrap_or_default();
                    landing.push(async move {
                        let ctx = ToolContext::detached(call.id.as_str());
                        let output = tool.call(ctx.clone(), input).await;
                        (call, ctx, output)
                    });
                }
                let mut results = Vec::new();
                while let Some((call, ctx, output)) = landing.next().await {
                    let failed = output.outcome != Outcome::Ok;
                    results.push(result(call, &ctx, output));
                    if failed {
                        break;
                    }
                }
                drop(landing);
                self.history.push(Message::results(results));
            }
            yield event(end(StopReason::Finished, String::new()));
        }
        .boxed()
    }

    fn control(&self) -> Arc<dyn Control> {
        Arc::new(Letters(self.mail.clone()))
    }

    fn history(&self) -> Vec<Message> {
        self.history.clone()
    }

    fn describe(&self) -> String {
        "naive".into()
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Receipt> {
        async { Receipt::default() }.boxed()
    }
}

fn result(call: &ToolCall, ctx: &ToolContext, output: ToolOutput) -> ToolResult {
    let mut result = ToolResult::text(call, output.outcome, ctx.output().text());
    result.content.extend(output.content);
    result
}

/// What came of one answer, whole or not.
#[derive(Default)]
struct Said {
    text: String,
    calls: Vec<(u32, CallId, String, String)>,
    usage: Usage,
}

impl Said {
    fn take(&mut self, delta: Delta) -> Option<EventKind> {
        match delta {
            Delta::Text { part, text } => {
                self.text += &text;
                return Some(EventKind::TextDelta { part, text });
            }
            Delta::Call { part, id, name } => {
                let id = id.unwrap_or_else(|| CallId::new(format!("call_{part}")));
                self.calls.push((part, id, name, String::new()));
            }
            Delta::Arguments { part, json } => {
                let calls = self.calls.iter_mut();
                calls
                    .filter(|call| call.0 == part)
                    .for_each(|call| call.3 += &json);
            }
            Delta::Usage(usage) => self.usage = usage,
            _ => {}
        }
        None
    }

    fn calls(&mut self) -> Vec<ToolCall> {
        let calls = std::mem::take(&mut self.calls).into_iter();
        calls
            .map(|(_, id, name, json)| ToolCall::new(id, name, json))
            .collect()
    }

    fn message(self, calls: &[ToolCall]) -> Message {
        let mut parts = Vec::new();
        if !self.text.is_empty() {
            parts.push(Part::text(self.text));
        }
        parts.extend(calls.iter().cloned().map(Part::Call));
        let role = Role::Assistant;
        Message { role, parts }
    }
}
