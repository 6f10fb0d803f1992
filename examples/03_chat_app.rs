//! A chat on a web page: each message becomes a turn that owns its session and streams to the page
//! by server-sent events. Open the address it prints. Needs no key.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{Query, State},
    response::{
        Html,
        sse::{Event as Sse, KeepAlive},
    },
    routing::get,
};
use futures::{Stream, StreamExt};
use offshoot::{Agent, Scope, Session, provider, tools};

const PAGE: &str = r#"<!doctype html><meta charset="utf-8"><title>offshoot</title>
<style>body{font:16px system-ui;max-width:46rem;margin:2rem auto}#log{white-space:pre-wrap}b{color:#05a}</style>
<div id="log"></div><form><input name="q" size="60" autofocus placeholder="Survey this folder"></form>
<script>
const id = crypto.randomUUID(), log = document.getElementById("log");
const add = (tag, text) => { const e = document.createElement(tag); e.textContent = text; log.append(e); };
document.forms[0].onsubmit = e => {
  e.preventDefault();
  const q = e.target.q.value; e.target.q.value = ""; add("b", "\n" + q + "\n");
  const source = new EventSource(`/turn?id=${id}&q=${encodeURIComponent(q)}`);
  source.onerror = () => source.close(); // or the browser would send the message again
  source.onmessage = m => {
    const event = JSON.parse(m.data);
    if (event.type == "text_delta") add("span", event.text);
    if (event.type == "tool_start") add("i", `\n[${event.name}]\n`);
    if (event.type == "turn_end") { source.close(); add("span", "\n"); }
  };
};
</script>"#;

/// The sessions that no turn holds right now, by the page's id.
type Idle = Arc<Mutex<HashMap<String, Session>>>;

#[derive(Clone)]
struct App {
    agent: Agent,
    idle: Idle,
}

/// Gives the session back when the turn is over; when the page went away in the middle, the turn is
/// stopped first.
struct Return {
    turn: Option<offshoot::OwnedTurn>,
    id: String,
    idle: Idle,
}

impl Drop for Return {
    fn drop(&mut self) {
        let (id, idle) = (self.id.clone(), self.idle.clone());
        match self.turn.take().map(offshoot::OwnedTurn::into_session) {
            Some(Ok(session)) => drop(idle.lock().unwrap().insert(id, session)),
            Some(Err(turn)) => drop(Scope::root().spawn(async move {
                let session = turn.stop().await;
                idle.lock().unwrap().entry(id).or_insert(session);
            })),
            None => {}
        }
    }
}

async fn turn(
    State(app): State<App>,
    Query(query): Query<HashMap<String, String>>,
) -> axum::response::Sse<impl Stream<Item = Result<Sse, Infallible>>> {
    let id = query.get("id").cloned().unwrap_or_default();
    let words = query.get("q").cloned().unwrap_or_default();
    let session = app.idle.lock().unwrap().remove(&id);
    let session = session.unwrap_or_else(|| Session::new(app.agent.clone()));
    let back = Return {
        turn: Some(session.into_turn(words)),
        id,
        idle: app.idle,
    };
    let events = futures::stream::unfold(back, |mut back| async {
        let event = back.turn.as_mut()?.next().await?;
        let line = serde_json::to_string(&event).ok()?;
        Some((Ok(Sse::default().data(line)), back))
    });
    axum::response::Sse::new(events).keep_alive(KeepAlive::default())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = provider::from_env().await?.provider;
    let agent = Agent::builder_for(model)
        .tools(tools::read_only(".")?)
        .build()?;
    let app = App {
        agent,
        idle: Idle::default(),
    };
    let router = Router::new()
        .route("/", get(|| async { Html(PAGE) }))
        .route("/turn", get(turn))
        .with_state(app);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}
