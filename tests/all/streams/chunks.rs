//! Row P13 over sockets: each stream in single bytes and split in two gives the same deltas.
//! Refuses every offset: `src/provider/splits.rs` splits there, below the sockets.

use super::vectors::{self, Dice, Player, Vendor, ask};

/// Places at which each stream is split over a socket.
const SPLITS: usize = 8;

async fn split(vendor: Vendor, seed: u64) {
    let player = Player::start();
    let provider = vendor.provider(&player.server.url());
    let mut dice = Dice(seed);
    for vector in vectors::of(vendor) {
        let case = &vector.case;
        player.next(vendor.reply(vector.body.clone()));
        let whole = ask(&*provider).await;
        player.next(vendor.reply(vector.body.clone()).chunks_of(1));
        assert_eq!(ask(&*provider).await, whole, "{case} in single bytes");
        for _ in 0..SPLITS {
            let at = dice.below(vector.body.len() + 1);
            player.next(vendor.reply(vector.body.clone()).split_at([at]));
            assert_eq!(
                ask(&*provider).await,
                whole,
                "{case} split at {at}, seed {seed}"
            );
        }
        player.assert_played();
    }
}

#[tokio::test]
async fn p13_anthropic_streams_survive_any_chunks() {
    split(Vendor::Anthropic, 1).await;
}

#[tokio::test]
async fn p13_openai_responses_streams_survive_any_chunks() {
    split(Vendor::Responses, 2).await;
}

#[tokio::test]
async fn p13_openai_chat_streams_survive_any_chunks() {
    split(Vendor::Chat, 3).await;
}

#[tokio::test]
async fn p13_gemini_streams_survive_any_chunks() {
    split(Vendor::Gemini, 4).await;
}

#[tokio::test]
async fn p13_ollama_streams_survive_any_chunks() {
    split(Vendor::Ollama, 5).await;
}
