//! Names and the search, against real sockets; the environment is handed in, never changed.
//! Refuses to depend on what runs on this machine: every address is one that the test owns.

use std::{
    io::{Read, Write},
    net::TcpListener,
    time::Instant,
};

use super::*;

#[test]
fn names_find_their_vendor() {
    for (name, vendor, model) in [
        ("anthropic/claude-x", "anthropic", "claude-x"),
        ("OpenAI/gpt-5", "openai", "gpt-5"),
        ("openai-chat/meta/llama-3", "openai-chat", "meta/llama-3"),
        ("claude-sonnet-4-5", "anthropic", "claude-sonnet-4-5"),
        ("gpt-5", "openai", "gpt-5"),
        ("o3-mini", "openai", "o3-mini"),
        ("gemini-2.5-pro", "gemini", "gemini-2.5-pro"),
        (" ollama/llama3.2:3b ", "ollama", "llama3.2:3b"),
        ("offline", "offline", "rules"),
        ("anthropic", "anthropic", "claude-sonnet-4-5"),
    ] {
        let (row, rest) = resolve(name).unwrap();
        assert_eq!((row.word, rest), (vendor, model), "{name}");
    }
}

#[test]
fn wrong_names_get_advice() {
    let hint = |name: &str, message: &str| {
        let error = resolve(name).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(error.to_string(), message);
        error.hint().unwrap().to_owned()
    };
    let all = hint("acme/x", "unknown vendor: `acme/x`");
    for vendor in VENDORS {
        assert!(all.contains(&format!("`{}`", vendor.word)), "{all}");
    }
    let bare = hint("llama3.2", "this name does not tell its vendor: `llama3.2`");
    assert!(bare.contains("`ollama/llama3.2`"), "{bare}");
    hint("ollama/", "no model after the vendor: `ollama/`");
    hint("  ", "no model name: ``");
    assert!(connect("offline/other").unwrap_err().hint().is_some());
}

#[test]
fn every_default_model_is_in_the_price_table() {
    for vendor in VENDORS.iter() {
        let model = super::super::Model::lookup(vendor.word, vendor.default);
        assert!(model.price.is_some(), "{}", model.full_name());
    }
}

#[test]
fn ollama_addresses() {
    for (host, expected) in [
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:99", "http://127.0.0.1:99"),
        (":99", "http://127.0.0.1:99"),
        ("box", "http://box:11434"),
        ("box:99/", "http://box:99"),
        ("http://box", "http://box:80"),
        ("https://box/api-proxy/", "https://box:443/api-proxy"),
        ("[::1]", "http://[::1]:11434"),
        ("[::1]:99", "http://[::1]:99"),
        ("[::]:99", "http://127.0.0.1:99"),
    ] {
        assert_eq!(address(host), expected, "{host}");
    }
}

async fn search(rows: &[(&str, &str)]) -> Choice {
    let owned = rows
        .iter()
        .map(|(k, v)| (k.to_string(), v.to_string()))
        .collect::<std::collections::BTreeMap<_, _>>();
    choose(&|name| owned.get(name).cloned()).await
}

/// A closed port of this machine, so that no real Ollama is met.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test]
async fn variables_come_first_then_keys_in_order() {
    let host = nobody();
    let mut rows = vec![("OLLAMA_HOST", host.as_str())];
    assert_eq!(search(&rows).await.name, "offline");
    for (key, model) in [
        ("GOOGLE_API_KEY", "gemini/gemini-2.5-flash"),
        ("GEMINI_API_KEY", "gemini/gemini-2.5-flash"),
        ("OPENAI_API_KEY", "openai/gpt-5"),
        ("ANTHROPIC_API_KEY", "anthropic/claude-sonnet-4-5"),
        ("AGENT_MODEL", "secret"),
        ("OFFSHOOT_MODEL", "secret"),
    ] {
        rows.push((key, "secret"));
        let choice = search(&rows).await;
        assert_eq!(choice.name, model);
        assert!(choice.why.contains(key), "{}", choice.why);
        if !key.ends_with("MODEL") {
            assert!(!choice.why.contains("secret"), "a key is never shown");
        }
    }
    let empty = [("ANTHROPIC_API_KEY", " "), ("OLLAMA_HOST", host.as_str())];
    assert_eq!(search(&empty).await.name, "offline", "an empty key is none");
}

/// Answers one request with this body, then ends. A thread, so that the probe meets a real socket.
fn serve(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    #[expect(
        clippy::disallowed_methods,
        reason = "a server of a test, gone with its one answer"
    )]
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let n = stream.read(&mut request).unwrap();
        assert!(request[..n].starts_with(b"GET /api/tags "));
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
    });
    host
}

#[tokio::test]
async fn an_ollama_is_found_by_what_it_answers() {
    let models = r#"{"models":[{"name":"nomic-embed-text:latest"},
        {"name":"gpt-oss:120b-cloud","remote_host":"https://ollama.com"},
        {"name":"qwen3:8b","size":5}]}"#;
    let host = serve("200 OK", models);
    let choice = search(&[("OLLAMA_HOST", &host)]).await;
    assert_eq!(choice.name, "ollama/qwen3:8b");
    assert!(choice.why.contains(&host), "{}", choice.why);

    let bare = serve("200 OK", r#"{"models":[]}"#);
    let choice = search(&[("OLLAMA_HOST", &bare)]).await;
    assert_eq!(choice.name, "offline");
    assert!(choice.why.contains("ollama pull"), "{}", choice.why);

    for (status, body) in [("404 Not Found", "{}"), ("200 OK", "<html>")] {
        let other = serve(status, body);
        assert_eq!(search(&[("OLLAMA_HOST", &other)]).await.name, "offline");
    }
}

#[tokio::test]
async fn a_silent_port_costs_a_third_of_a_second_at_most() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let began = Instant::now();
    assert_eq!(search(&[("OLLAMA_HOST", &host)]).await.name, "offline");
    let took = began.elapsed();
    assert!(took >= OLLAMA_WAIT && took < OLLAMA_WAIT * 4, "{took:?}");
}

#[test]
fn local_vendors_open_without_a_key_and_bring_their_card() {
    let ollama = connect("ollama/qwen3:8b").unwrap();
    assert_eq!(ollama.model().full_name(), "ollama/qwen3:8b");
    assert_eq!(ollama.model().window, 32_768);
    assert_eq!(
        ollama.model().cost(&crate::Usage::default()),
        crate::Cost::default()
    );
}
