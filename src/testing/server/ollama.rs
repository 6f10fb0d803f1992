//! Ollama's own chat API as it sends it: one JSON object a line, calls whole, counts at the end.
//! Refuses what that API has no words for: signatures, refusals, cached tokens.

use super::{
    super::answer::Piece,
    vendor::{Ask, Complaint, RFC_TIME, list, quote},
};
use crate::{provider::Stop, usage::Usage};

/// The lines of a streaming answer.
pub(super) fn stream(ask: &Ask<'_>) -> Vec<String> {
    let line = |message: &str| {
        format!(
            "{}\"message\":{{\"role\":\"assistant\",{message}}},\"done\":false}}\n",
            opening(ask)
        )
    };
    let mut out = Vec::new();
    for (part, piece) in ask.answer.pieces.iter().enumerate() {
        match piece {
            Piece::Text(words) => {
                let deltas = words.deltas(ask.answer.split);
                out.extend(
                    deltas
                        .iter()
                        .map(|t| line(&format!(r#""content":{}"#, quote(t)))),
                );
            }
            Piece::Thinking(words) => {
                let deltas = words.deltas(ask.answer.split);
                let thinking = |t: &&str| line(&format!(r#""content":"","thinking":{}"#, quote(t)));
                out.extend(deltas.iter().map(thinking));
            }
            Piece::Call(_) => {
                let calls = list(&[call(ask, part, piece)]);
                out.push(line(&format!(r#""content":"","tool_calls":{calls}"#)));
            }
            Piece::Opaque(_) | Piece::Raw(_) => {} // refused before
        }
    }
    out.push(format!(
        "{}\"message\":{{\"role\":\"assistant\",\"content\":\"\"}},{}}}\n",
        opening(ask),
        done(ask)
    ));
    out
}

/// The body of an answer that does not stream.
pub(super) fn whole(ask: &Ask<'_>) -> String {
    let (mut text, mut thinking, mut calls) = (String::new(), String::new(), Vec::new());
    for (part, piece) in ask.answer.pieces.iter().enumerate() {
        match piece {
            Piece::Text(words) => text.push_str(words.text()),
            Piece::Thinking(words) => thinking.push_str(words.text()),
            Piece::Call(_) => calls.push(call(ask, part, piece)),
            Piece::Opaque(_) | Piece::Raw(_) => {}
        }
    }
    let mut message = format!(r#""role":"assistant","content":{}"#, quote(&text));
    if !thinking.is_empty() {
        message.push_str(&format!(r#","thinking":{}"#, quote(&thinking)));
    }
    if !calls.is_empty() {
        message.push_str(&format!(r#","tool_calls":{}"#, list(&calls)));
    }
    format!("{}\"message\":{{{message}}},{}}}", opening(ask), done(ask))
}

/// The body of an error.
pub(super) fn error(complaint: &Complaint<'_>) -> String {
    format!(r#"{{"error":{}}}"#, quote(&complaint.message))
}

/// An error after the stream has begun.
pub(super) fn error_frame(complaint: &Complaint<'_>) -> String {
    error(complaint) + "\n"
}

/// The list of models, at `/api/tags`.
pub(super) fn tags(models: &[String]) -> String {
    let row = |name: &String| {
        let name = quote(name);
        format!(
            r#"{{"name":{name},"model":{name},"modified_at":"{RFC_TIME}","size":1,"digest":"{:064x}","details":{{"parent_model":"","format":"gguf","family":"scripted","families":["scripted"],"parameter_size":"1B","quantization_level":"Q4_0"}}}}"#,
            1
        )
    };
    format!(
        r#"{{"models":{}}}"#,
        list(&models.iter().map(row).collect::<Vec<_>>())
    )
}

/// The version, at `/api/version`.
pub(super) fn version() -> String {
    r#"{"version":"0.12.0"}"#.to_owned()
}

fn opening(ask: &Ask<'_>) -> String {
    format!(
        r#"{{"model":{},"created_at":"{RFC_TIME}","#,
        quote(&ask.model)
    )
}

fn call(ask: &Ask<'_>, part: usize, piece: &Piece) -> String {
    let Piece::Call(call) = piece else {
        return String::new();
    };
    let before = &ask.answer.pieces[..part];
    let index = before
        .iter()
        .filter(|piece| matches!(piece, Piece::Call(_)))
        .count();
    format!(
        r#"{{"id":{},"function":{{"index":{index},"name":{},"arguments":{}}}}}"#,
        quote(&call.id("call_", ask.number, part)),
        quote(&call.name),
        call.arguments,
    )
}

/// The last fields: why it ended, how long it took (a millisecond a token), how much it was.
fn done(ask: &Ask<'_>) -> String {
    let spelled = match ask.answer.stopped() {
        Stop::Length | Stop::ContextFull => "length",
        _ => "stop",
    };
    let reason = quote(&ask.answer.stop_word(spelled));
    let counts = match &ask.used {
        Some(used) => counts(used),
        None => String::new(),
    };
    format!(r#""done":true,"done_reason":{reason}{counts}"#)
}

fn counts(used: &Usage) -> String {
    let (prompt, output) = (used.prompt(), used.output);
    let nanos = |tokens: u64| tokens * 1_000_000;
    format!(
        r#","total_duration":{},"load_duration":1000000,"prompt_eval_count":{prompt},"prompt_eval_duration":{},"eval_count":{output},"eval_duration":{}"#,
        nanos(1 + prompt + output),
        nanos(prompt),
        nanos(output),
    )
}
