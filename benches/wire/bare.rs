//! The other side: reqwest alone, which sends what is asked and counts the bytes that come back.
//! Refuses to understand them, and any setting that a program would not make.

/// A client as a program makes it.
pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// So many conversations at once, each of so many turns. Gives back the bytes of all answers.
pub(crate) async fn run(
    client: &reqwest::Client,
    url: &str,
    sessions: usize,
    turns: usize,
) -> usize {
    let all = (0..sessions).map(|_| session(client, url, turns));
    futures::future::join_all(all).await.into_iter().sum()
}

async fn session(client: &reqwest::Client, url: &str, turns: usize) -> usize {
    let mut history = String::new();
    let mut bytes = 0;
    for _ in 0..turns {
        if !history.is_empty() {
            history += r#",{"role":"assistant","content":[{"type":"text","text":"words"}]},"#;
        }
        history += r#"{"role":"user","content":[{"type":"text","text":"short"}]}"#;
        let body = format!(
            r#"{{"model":"bench","max_tokens":4096,"stream":true,"system":"You are a benchmark.","messages":[{history}]}}"#
        );
        let mut answer = client
            .post(format!("{url}/v1/messages"))
            .header("content-type", "application/json")
            .header("x-api-key", "k")
            .header("anthropic-version", "2023-06-01")
            .body(body)
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success());
        while let Some(chunk) = answer.chunk().await.unwrap() {
            bytes += std::hint::black_box(chunk).len();
        }
    }
    bytes
}
