//! Many sessions in one process: a thousand streams open at once, none lost.
//! Refuses speed and memory, which the benches measure.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream::FuturesUnordered};
use offshoot::{
    Agent, Options, Session,
    provider::{Anthropic, Provider},
    testing::{Answer, ModelServer, Recorder, Reply, Script},
};

use crate::kit::alone;

const SESSIONS: usize = 1_000;

/// Each session asks its own question, twice; the server holds every answer in its middle until all
/// are there. Run alone, because it needs two thousand open files.
#[test]
fn a_thousand_sessions_have_a_thousand_streams_open_at_once_and_none_is_lost() {
    if !alone("sessions::a_thousand_sessions_have_a_thousand_streams_open_at_once_and_none_is_lost")
    {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let server = ModelServer::start(Script::with(|request| {
            let body = request.json();
            let messages = body["messages"].as_array().unwrap();
            let last = messages.last().unwrap()["content"].to_string();
            let digits: String = last.chars().filter(char::is_ascii_digit).collect();
            Reply::answer(Answer::text(format!("the answer to {digits}"))).hold_until(SESSIONS)
        }));
        let began = Instant::now();
        let mut options = Options::default();
        options.idle = Some(Duration::from_secs(120));
        let model = Anthropic::builder("claude-test")
            .base_url(server.url())
            .build()
            .unwrap();
        assert_eq!(model.model().vendor.as_ref(), "anthropic");
        let agent = Agent::builder(model).options(options).build().unwrap();
        let recorder = Recorder::new();
        let mut running: FuturesUnordered<_> = (0..SESSIONS)
            .map(|n| {
                let (agent, recorder) = (agent.clone(), recorder.clone());
                async move {
                    let mut session = Session::builder(agent).open().await.unwrap();
                    for turn in 0..2 {
                        let question = format!("{}", n * 2 + turn);
                        let text = session
                            .submit_message(question.as_str())
                            .text()
                            .await
                            .unwrap();
                        assert_eq!(text, format!("the answer to {question}"));
                    }
                    drop(recorder);
                    session.history().len()
                }
            })
            .collect();
        let mut done = 0;
        while let Some(messages) = running.next().await {
            assert_eq!(messages, 4);
            done += 1;
        }
        assert_eq!(done, SESSIONS);
        assert_eq!(server.peak_streams(), SESSIONS, "all at once");
        assert_eq!(
            server.count() as usize,
            2 * SESSIONS,
            "and nobody asked twice"
        );
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{:?}",
            began.elapsed()
        );
    });
}
