//! Row P18 on the recorded streams, with something new put in: ours reads on, a strict client breaks.
//! Refuses to pass where the proof does not see the fault.

use offshoot::{
    Error, ErrorKind,
    provider::{Delta, Provider},
};

use super::vectors::{self, Player, Vendor, ask};
use crate::kit::{noticed, through_any};

/// Between two places at which something new is put in.
const STRIDE: usize = 7;

/// What a vendor may send one day, as a frame of its stream.
fn something_new(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::Anthropic => "event: hologram\ndata: {\"type\":\"hologram\",\"x\":1}\n\n",
        Vendor::Responses => "data: {\"type\":\"response.hologram.delta\",\"output_index\":2}\n\n",
        Vendor::Chat => "data: {\"object\":\"hologram\",\"x\":1}\n\n",
        Vendor::Gemini => "data: {\"candidates\":[{\"content\":{\"parts\":[7]}}]}\r\n\r\n",
        Vendor::Ollama => "{\"status\":\"loading\"}\n",
    }
}

/// Whatever is put between two events of a stream, the answer is the same.
async fn reads_on(vendor: Vendor, player: &Player, provider: &dyn Provider) {
    let vector = vectors::one(vendor, "large-40k");
    player.next(vendor.reply(vector.body.clone()));
    let (clean, error) = ask(provider).await;
    assert_eq!(error, None, "{vendor:?}");
    let mut places = vendor.boundaries(&vector.body);
    places.pop();
    assert!(places.len() > 10 * STRIDE, "{vendor:?}: {}", places.len());
    for at in places.into_iter().step_by(STRIDE) {
        let new = something_new(vendor).as_bytes();
        let body = [&vector.body[..at], new, &vector.body[at..]].concat();
        player.next(vendor.reply(body));
        let (mut deltas, error) = ask(provider).await;
        let skipped = |delta: &Delta| matches!(delta, Delta::Skipped { .. });
        assert_eq!(error, None, "{vendor:?} with something new at {at}");
        assert_eq!(deltas.iter().filter(|delta| skipped(delta)).count(), 1);
        deltas.retain(|delta| !skipped(delta));
        assert_eq!(deltas, clean, "{vendor:?} with something new at {at}");
    }
}

#[tokio::test]
async fn p18_something_new_between_any_two_events_changes_nothing() {
    for vendor in Vendor::ALL {
        let player = Player::start();
        reads_on(vendor, &player, &*vendor.provider(&player.server.url())).await;
        player.assert_played();
    }
}

#[tokio::test]
async fn twin_p18_a_client_that_takes_only_what_it_knows_breaks() {
    for vendor in Vendor::ALL {
        let player = Player::start();
        let provider = vendor.provider(&player.server.url());
        let strict = through_any(provider, |delta| match delta? {
            Delta::Skipped { what } => Err(Error::new(ErrorKind::Decode, what)),
            known => Ok(known),
        });
        let saw = noticed(reads_on(vendor, &player, &strict)).await;
        assert!(saw.contains("with something new"), "{saw}");
    }
}
