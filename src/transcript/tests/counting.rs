//! Tokens: what the vendor counted, what is counted here, and where the lines are.
//! Refuses figures that the code under test made: they are written out.

use std::time::{Duration, Instant};

use super::*;
use crate::provider::Model;

fn model(vendor: &str, name: &str) -> Model {
    Model::unknown(vendor, name)
}

#[test]
fn the_estimate_is_a_token_for_four_letters_and_three_in_results() {
    let counter = Counter::estimate();
    assert_eq!(counter.message(&"12345".into()), 2);
    assert_eq!(counter.message(&"äöüß".into()), 1, "letters, not bytes");
    assert_eq!(
        counter.message(&Message::results(vec![result("1", "1234567")])),
        3
    );
    let picture = Part::Media(Media::bytes("image/png", &[0; 100_000]));
    assert_eq!(counter.message(&Message::user_parts(vec![picture])), 2_000);
    let pages = Part::Media(Media::bytes("application/pdf", &[0; 100_000]));
    assert_eq!(counter.message(&Message::user_parts(vec![pages])), 6_000);
    let call = ToolCall::new(CallId::new("1"), "Read", r#"{"path":"a.txt"}"#);
    let message = Message {
        role: Role::Assistant,
        parts: vec![Part::Call(call)],
    };
    assert_eq!(counter.message(&message), 1 + 4);
}

#[test]
fn the_vendor_counts_what_was_sent_and_we_count_the_tail() {
    let counter = Counter::estimate();
    let mut transcript = Transcript::new();
    transcript.set_overhead(50);
    transcript.push_user("12345678".into());
    assert_eq!(transcript.tokens(&counter), 52);
    let vendor = Usage {
        input: 10,
        cache_read: 900,
        output: 40,
        ..Usage::default()
    };
    transcript.push_assistant(calls(&["1"]), Some(vendor));
    assert_eq!(
        transcript.tokens(&counter),
        950,
        "the vendor's count has the overhead in it"
    );
    transcript.push_results(vec![result("1", "123456")]);
    assert_eq!(transcript.tokens(&counter), 952);
    transcript.push_assistant("ok".into(), Some(Usage::default()));
    assert_eq!(
        transcript.tokens(&counter),
        953,
        "a count of nothing is no count"
    );
    transcript.push_assistant("ok".into(), usage(7, 3));
    assert_eq!(transcript.tokens(&counter), 10);
}

#[test]
fn invariant_16_appending_and_counting_do_not_grow_with_the_history() {
    let time = |count: usize| {
        let start = Instant::now();
        let mut transcript = Transcript::new();
        let counter = Counter::estimate();
        let mut sum = 0;
        for _ in 0..count {
            transcript.push_user("some words of a user".into());
            transcript.push_assistant(calls(&["call_0"]), None);
            let id = transcript.open_calls()[0].id.clone();
            transcript.push_results(vec![result(id.as_str(), "some output of a tool")]);
            sum += transcript.tokens(&counter) + transcript.repair().len() as u64;
        }
        assert!(sum > 0);
        start.elapsed().max(Duration::from_micros(1))
    };
    time(200);
    // Linear work gives 20, quadratic work 400; the best of three forgives a busy machine.
    let ratio = (0..3)
        .map(|_| time(20_000).as_secs_f64() / time(1_000).as_secs_f64())
        .fold(f64::MAX, f64::min);
    assert!(
        ratio < 80.0,
        "20 times the messages took {ratio:.0} times as long"
    );
}

#[test]
fn lines_stand_where_they_stand() {
    let rows = [
        (model("v", "m"), [160_000, 167_000, 177_000]),
        (model("v", "big[1M]"), [960_000, 967_000, 977_000]),
    ];
    for (model, [warning, compact, refuse]) in rows {
        let lines = CompactionSettings::default().thresholds(&model);
        let fill = |tokens: u64| lines.fill(tokens);
        assert_eq!(
            (fill(warning - 1), fill(warning)),
            (Fill::Fine, Fill::Warning)
        );
        assert_eq!(
            (fill(compact - 1), fill(compact)),
            (Fill::Warning, Fill::Compact)
        );
        assert_eq!(
            (fill(refuse - 1), fill(refuse)),
            (Fill::Compact, Fill::Refuse)
        );
    }
}

#[test]
fn the_environment_is_read_and_bad_values_are_told() {
    let read = |rows: &[(&str, &str)]| {
        let rows: Vec<_> = rows
            .iter()
            .map(|(n, v)| (n.to_string(), v.to_string()))
            .collect();
        CompactionSettings::from_lookup(move |name| {
            rows.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone())
        })
    };
    let lines = |rows: &[(&str, &str)], name: &str| {
        let lines = read(rows).unwrap().thresholds(&model("v", name));
        (lines.warning, lines.compact, lines.refuse)
    };
    assert_eq!(read(&[]).unwrap(), CompactionSettings::default());
    assert_eq!(
        read(&[("AGENT_AUTO_COMPACT", "no")]).unwrap().summarising,
        Summarising::Never
    );
    assert_eq!(
        read(&[("AGENT_AUTO_COMPACT", " YES ")])
            .unwrap()
            .summarising,
        Summarising::Automatic
    );
    assert_eq!(
        read(&[("AGENT_MICROCOMPACT", "on")]).unwrap().trimming,
        Trimming::Early
    );
    assert_eq!(
        read(&[("AGENT_MICROCOMPACT", "0")]).unwrap().trimming,
        Trimming::Never
    );
    assert_eq!(
        read(&[("AGENT_MICROCOMPACT", "")]).unwrap().trimming,
        Trimming::WhenFull
    );
    let off = ("CLAUDE_CODE_DISABLE_1M_CONTEXT", "1");
    assert_eq!(lines(&[off], "big[1m]"), (160_000, 167_000, 177_000));
    let window = ("CLAUDE_CODE_AUTO_COMPACT_WINDOW", "150000");
    assert_eq!(lines(&[window], "m"), (110_000, 117_000, 127_000));
    let window = ("CLAUDE_CODE_AUTO_COMPACT_WINDOW", "900000");
    assert_eq!(
        lines(&[window], "m"),
        (160_000, 167_000, 177_000),
        "it only lowers"
    );
    let percent = ("CLAUDE_AUTOCOMPACT_PCT_OVERRIDE", "50");
    assert_eq!(lines(&[percent], "m"), (90_000, 90_000, 177_000));
    let percent = ("CLAUDE_AUTOCOMPACT_PCT_OVERRIDE", "100");
    assert_eq!(
        lines(&[percent], "m"),
        (160_000, 167_000, 177_000),
        "it only lowers"
    );
    for (name, value) in [
        ("CLAUDE_AUTOCOMPACT_PCT_OVERRIDE", "0"),
        ("CLAUDE_AUTOCOMPACT_PCT_OVERRIDE", "101"),
        ("CLAUDE_CODE_AUTO_COMPACT_WINDOW", "-5"),
        ("CLAUDE_CODE_AUTO_COMPACT_WINDOW", "many"),
    ] {
        let error = read(&[(name, value)]).unwrap_err();
        assert_eq!(error.to_string(), format!("bad value of {name}: `{value}`"));
        assert!(error.hint().is_some());
    }
}

#[test]
fn lines_of_every_window_are_in_order_and_never_fall() {
    let mut before = (0, 0, 0);
    for window in (2..500)
        .chain((500..300_000).step_by(97))
        .chain([1_000_000, u64::MAX])
    {
        for percent in [None, Some(1)] {
            let mut model = model("v", "m");
            model.window = window;
            let settings = CompactionSettings {
                percent,
                ..CompactionSettings::default()
            };
            let Thresholds {
                warning,
                compact,
                refuse,
            } = settings.thresholds(&model);
            assert!(
                0 < warning && warning <= compact && compact <= refuse,
                "{window}"
            );
            assert!(refuse <= window, "{window}");
            assert!(window < 20 || compact < refuse, "{window}");
            if percent.is_none() {
                assert!(before <= (warning, compact, refuse), "{window}");
                before = (warning, compact, refuse);
            }
        }
    }
}

#[cfg(feature = "tiktoken")]
mod exact {
    use super::*;

    #[test]
    fn openai_models_are_counted_in_their_own_encoding() {
        // A published count: this Japanese greeting is 8 tokens in o200k.
        let greeting = "お誕生日おめでとう";
        let rows = [
            ("openai", "gpt-4o-mini", 8),
            ("openai", "gpt-4.1", 8),
            ("openai", "gpt-5.2-codex", 8),
            ("openai", "o3-pro", 8),
            ("openai", "gpt-oss-120b", 8),
            ("openai", "a-name-of-next-year", 8),
            ("openai", "ft:gpt-4o:me::1", 8),
            ("openai-chat", "openai/gpt-4o", 8),
        ];
        for (vendor, name, tokens) in rows {
            let counter = Counter::for_model(&model(vendor, name));
            assert!(!counter.is_estimate(), "{name}");
            assert_eq!(counter.text(greeting), tokens, "{name}");
        }
        for (vendor, name) in [
            ("anthropic", "gpt-4o"),
            ("openai", "gpt-4-turbo"),
            ("openai", "gpt-3.5-turbo"),
            ("openai-chat", "llama-4"),
            ("ollama", "gpt-oss:20b"),
        ] {
            assert!(
                Counter::for_model(&model(vendor, name)).is_estimate(),
                "{name}"
            );
        }
    }

    #[test]
    fn text_of_any_shape_is_counted_in_time() {
        let counter = Counter::for_model(&model("openai", "gpt-4o"));
        counter.text("warm");
        let size = 500_000;
        for (shape, text) in [
            ("one letter", "a".repeat(size)),
            ("spaces", " ".repeat(size)),
            ("line ends", "\n".repeat(size)),
            ("signs", "=".repeat(size)),
            ("digits", "7".repeat(size)),
            ("wide letters", "漢".repeat(size / 3)),
            (
                "base64",
                "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo".repeat(size / 35),
            ),
            ("marks", "e\u{301}".repeat(size / 3)),
        ] {
            let start = Instant::now();
            let tokens = counter.text(&text);
            let took = start.elapsed();
            assert!(
                tokens > 0 && took < Duration::from_secs(10),
                "{shape}: {took:?}"
            );
        }
    }

    #[test]
    fn no_piece_holds_a_long_run() {
        for text in [
            "a".repeat(5_000),
            " ".repeat(5_000),
            "漢".repeat(5_000),
            "ab cd ".repeat(5_000),
        ] {
            let pieces: Vec<_> = count::pieces(&text).collect();
            assert_eq!(pieces.concat(), text);
            for piece in pieces {
                let longest = piece.split(char::is_whitespace).map(str::len).max();
                assert!(
                    longest <= Some(260) && piece.len() <= 8_500,
                    "{}",
                    piece.len()
                );
                let spaces = piece.split(|letter: char| !letter.is_whitespace());
                assert!(spaces.map(str::len).max() <= Some(260), "{}", piece.len());
            }
        }
    }

    #[test]
    fn cutting_leaves_prose_as_it_is() {
        let prose = "It was the best of times, it was the worst of times; ".repeat(20);
        let counter = Counter::for_model(&model("openai", "gpt-4o"));
        let whole = tiktoken_rs::o200k_base_singleton().count_ordinary(&prose) as u64;
        assert_eq!(counter.text(&prose), whole);
        let long = prose.repeat(100);
        let whole = tiktoken_rs::o200k_base_singleton().count_ordinary(&long) as u64;
        assert!(
            counter.text(&long).abs_diff(whole) <= 16,
            "a token for each cut at most"
        );
    }

    #[test]
    fn two_counters_do_not_mix() {
        let exact = Counter::for_model(&model("openai", "gpt-4o"));
        let estimate = Counter::estimate();
        let mut transcript = Transcript::new();
        transcript.push_user("hello world".into());
        assert_eq!(
            (transcript.tokens(&exact), transcript.tokens(&estimate)),
            (6, 3)
        );
        transcript.push_user("hello world".into());
        assert_eq!(
            (transcript.tokens(&exact), transcript.tokens(&estimate)),
            (12, 6)
        );
    }
}
