//! Each stream as a turn of a session: the same parts, the same events, the right end.
//! Refuses tools: a call of a stream is answered as unknown, and nothing runs.

use offshoot::{
    Agent, Error, ErrorKind, Event, EventKind, Outcome, RetryPolicy, Role, Session, StopReason,
    provider::{Delta, Stop},
    testing::check_history,
};

use futures::StreamExt;

use super::{
    reading::{of_deltas, of_message},
    vectors::{self, Player, Vendor, ask, stop},
};

/// The events that watchers must hear for these deltas.
fn heard(deltas: &[Delta]) -> Vec<EventKind> {
    let event = |delta: &Delta| match delta.clone() {
        Delta::Text { part, text } => Some(EventKind::TextDelta { part, text }),
        Delta::Thinking { part, text } => Some(EventKind::ThinkingDelta { part, text }),
        Delta::Call { part, name, .. } => Some(EventKind::CallDelta {
            part,
            name: Some(name),
            arguments: String::new(),
        }),
        Delta::Arguments { part, json } => Some(EventKind::CallDelta {
            part,
            name: None,
            arguments: json,
        }),
        _ => None,
    };
    deltas.iter().filter_map(event).collect()
}

async fn turns(vendor: Vendor) {
    let player = Player::start();
    let provider = vendor.provider(&player.server.url());
    for vector in vectors::of(vendor) {
        let case = &vector.case;
        player.next(vendor.reply(vector.body.clone()));
        let (deltas, error) = ask(&*provider).await;

        player.next(vendor.reply(vector.body.clone()));
        let full = matches!(stop(&deltas), Some((Stop::ContextFull, _)));
        if full || error.as_ref().is_some_and(Error::is_context_too_long) {
            // Row P21: it shortens what it can and asks once more.
            player.next(vendor.reply(vector.body.clone()));
        }
        let agent = Agent::builder_for(provider.clone()).retry(RetryPolicy::never());
        let mut session = Session::new(agent.build().unwrap());
        let events: Vec<Event> = session.submit_message("go").collect().await;
        player.assert_played();

        let is_first = |kind: &&EventKind| {
            !matches!(
                kind,
                EventKind::MessageEnd { .. } | EventKind::Restarted { .. }
            )
        };
        let kinds = events.iter().map(|event| &event.kind);
        let first: Vec<_> = kinds.clone().take_while(is_first).collect();
        let shown: Vec<_> = first.iter().filter(|kind| kind.is_delta()).collect();
        assert_eq!(shown.len(), heard(&deltas).len(), "{case}");
        for (shown, heard) in shown.into_iter().zip(heard(&deltas)) {
            assert_eq!(**shown, heard, "{case}");
        }
        assert!(
            !kinds
                .clone()
                .any(|kind| matches!(kind, EventKind::ToolStart { .. }))
        );
        let Some(EventKind::TurnEnd { stop: end, .. }) = kinds.clone().next_back() else {
            panic!("{case}: {events:?}");
        };

        let history = session.history();
        let paused = matches!(stop(&deltas), Some((Stop::Paused, _)));
        check_history(&history).unwrap_or_else(|wrong| panic!("{case}: {wrong}"));
        let (why, raw) = match (stop(&deltas), &error) {
            (Some((Stop::BadCall, _)), _) => (None, ErrorKind::Server),
            (Some((why, raw)), None) => (Some((why, raw)), ErrorKind::Bug),
            (None, Some(error)) => (None, error.kind()),
            other => panic!("{case}: {other:?}"),
        };
        let Some((why, word)) = why else {
            // Nothing of it may stay, and the turn has failed with the same error.
            if raw == ErrorKind::ContextTooLong {
                assert_eq!(
                    (end, history.len()),
                    (&StopReason::ContextFull, 1),
                    "{case}"
                );
                continue;
            }
            let StopReason::Failed {
                error: Some(error), ..
            } = end
            else {
                panic!("{case}: {end:?}");
            };
            assert_eq!(error.kind(), raw, "{case}");
            assert_eq!(history.len(), 1, "{case}");
            assert!(
                !kinds
                    .clone()
                    .any(|kind| matches!(kind, EventKind::MessageEnd { .. }))
            );
            continue;
        };

        // The message that stays is the one that was streamed.
        let mut streamed = of_deltas(&deltas);
        let mut kept = match history.get(1) {
            Some(message) if message.role == Role::Assistant => of_message(message),
            _ => Vec::new(),
        };
        if paused {
            // The vendor goes on with its own message, which grows by what comes next.
            assert_eq!(history.len(), 2, "{case}");
            kept.truncate(streamed.len());
        }
        for (streamed, kept) in streamed.iter_mut().zip(&mut kept) {
            if streamed.what == "call" {
                streamed.text = match streamed.text.trim() {
                    "" => "{}".to_owned(),
                    text => text.to_owned(),
                };
            }
            if streamed.id.is_none() {
                kept.id = None; // ours to make
            }
        }
        streamed
            .retain(|piece| piece.what == "call" || !piece.text.is_empty() || piece.seal.is_some());
        kept.retain(|piece| piece.what == "call" || !piece.text.is_empty() || piece.seal.is_some());
        match streamed.iter().all(|piece| piece.what == "thinking") {
            // Vendors take no message that only thinks.
            true => assert_eq!(kept, [], "{case}"),
            false => assert_eq!(kept, streamed, "{case}"),
        }

        let calls = streamed.iter().filter(|piece| piece.what == "call").count();
        let ended = kinds.clone().find_map(|kind| match kind {
            EventKind::MessageEnd { stop, usage, .. } => Some((stop.as_str(), *usage)),
            _ => None,
        });
        let (told, usage) = ended.unwrap();
        assert_eq!((told, usage.requests), (word, 1), "{case}");
        let counted = deltas.iter().rev().find_map(|delta| match delta {
            Delta::Usage(usage) => Some((usage.prompt(), usage.output)),
            _ => None,
        });
        match counted {
            Some(counted) => assert_eq!(
                ((usage.prompt(), usage.output), usage.estimated),
                (counted, 0)
            ),
            None => assert_eq!(usage.estimated, 1, "{case}: nobody counted"),
        }
        match (why, calls) {
            (Stop::Refused { .. }, _) => {
                assert!(matches!(end, StopReason::Refused { .. }), "{case}")
            }
            (Stop::ContextFull, _) => assert_eq!(*end, StopReason::ContextFull, "{case}"),
            (Stop::Length, 0) => assert_eq!(*end, StopReason::Truncated, "{case}"),
            _ => assert_eq!(*end, StopReason::Finished, "{case}"),
        }
        let results = history
            .get(2)
            .map(|message| message.tool_results().collect::<Vec<_>>());
        let results = results.unwrap_or_default();
        assert_eq!(results.len(), calls, "{case}");
        for result in results {
            assert!(
                matches!(result.outcome, Outcome::Failed | Outcome::NeverStarted),
                "{case}: {result:?}"
            );
        }
    }
}

#[tokio::test]
async fn anthropic_streams_are_turns() {
    turns(Vendor::Anthropic).await;
}

#[tokio::test]
async fn openai_responses_streams_are_turns() {
    turns(Vendor::Responses).await;
}

#[tokio::test]
async fn openai_chat_streams_are_turns() {
    turns(Vendor::Chat).await;
}

#[tokio::test]
async fn gemini_streams_are_turns() {
    turns(Vendor::Gemini).await;
}

#[tokio::test]
async fn ollama_streams_are_turns() {
    turns(Vendor::Ollama).await;
}
