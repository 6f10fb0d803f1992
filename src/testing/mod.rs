//! What tests of agents need: a scripted model, a recorder of events, and a model server on loopback.
//! Refuses to be clever: nothing here guesses an answer, everything is said by the test.
//!
//! Three tools, from the quickest to the most real:
//!
//! * [`Scripted`] is a [`Provider`](crate::provider::Provider) that plays [`Answer`]s and keeps
//!   every request it saw. No sockets; works with tokio's paused clock.
//! * [`Recorder`] is a [`Tracer`](crate::Tracer) that keeps every event, with questions a test
//!   likes to ask. [`check_history`] says whether a conversation is one that vendors accept.
//! * [`ModelServer`] is a real HTTP/1.1 server on `127.0.0.1` that speaks the wire formats of five
//!   vendors. The same [`Answer`]s are spelled as each vendor spells them, and every [`Reply`] can
//!   be delayed, stalled, dripped, split, cut or corrupted at an exact byte.
//!
//! And [`store_contract`] says whether a [`Store`](crate::store::Store) of one's own keeps its
//! promises.
//!
//! # A model that plays a script
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! use futures::StreamExt;
//! use offshoot::{
//!     Kept, Message, Scope,
//!     provider::{Delta, Options, Provider, Request},
//!     testing::{Answer, Scripted},
//! };
//! use serde_json::json;
//!
//! let model = Scripted::new([
//!     Answer::empty().thinking("a file?").call("Read", json!({"path": "a.txt"})),
//!     Answer::text("It says hello."),
//! ]);
//!
//! // Whatever is tested gets the model; here we ask it by hand.
//! let (tools, options) = (Kept::new(Vec::new()), Options::default());
//! let history = [Kept::new(Message::user("What is in a.txt?"))];
//! let request = Request { system: "Be brief.", tools: &tools, history: (&history).into(), options: &options };
//! let mut deltas = model.stream(&request, &Scope::root())?;
//! let mut name = String::new();
//! while let Some(delta) = deltas.next().await {
//!     if let Delta::Call { name: tool, .. } = delta? {
//!         name = tool;
//!     }
//! }
//!
//! assert_eq!(name, "Read");
//! assert_eq!(model.seen()[0].messages[0].text(), "What is in a.txt?");
//! # offshoot::Result::<(), offshoot::Error>::Ok(()) }).unwrap();
//! ```
//!
//! # A vendor that fails
//!
//! Give [`ModelServer::url`] to a provider as its base URL (OpenAI clients want `/v1` after it).
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use offshoot::testing::{Answer, Cut, ModelServer, Reply, Script};
//! use serde_json::json;
//!
//! let server = ModelServer::start(Script::replies([
//!     Reply::json(&json!({"error": {"message": "slow down"}})).status(429).header("retry-after", "1"),
//!     Reply::answer(Answer::text("A long story.")).cut_at(300, Cut::Reset),
//!     Reply::answer(Answer::text("A long story.")),
//! ]));
//! assert!(server.url().starts_with("http://127.0.0.1:"));
//! assert_eq!(server.count(), 0);
//! # });
//! ```
//!
//! # The clock
//!
//! [`Scripted`] sleeps on tokio's clock, so a paused clock makes its pauses free. A paused clock and
//! real sockets do not go together: the clock jumps ahead whenever the runtime waits for the
//! network. Start the [`ModelServer`] on a runtime of its own when the code under test has a paused
//! clock, and also when a benchmark should measure the client only.

mod answer;
mod history;
mod recorder;
mod scripted;
mod server;
mod store_contract;

pub use self::{
    answer::{Answer, Split},
    history::check_history,
    recorder::Recorder,
    scripted::{Scripted, Seen},
    server::{Cut, Format, Limits, ModelServer, Received, Reply, Script},
    store_contract::store_contract,
};
