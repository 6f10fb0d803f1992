//! Says whether a conversation is one that every vendor accepts.
//! Refuses to mend it.

use std::collections::HashSet;

use crate::message::{Message, Part, Role, ToolResult};

/// Checks what every vendor insists on, and says what is wrong, where.
///
/// * It begins with a user's message, and no message is empty.
/// * Only the assistant thinks and calls; results stand only in messages of [`Role::Tool`], and
///   nothing else does.
/// * Call ids are unique within their message, and arguments are JSON objects.
/// * The message after one with calls answers each of them exactly once, in call order; a
///   conversation never ends with a call that has no result.
/// * A result follows only a message with its call, and the assistant never speaks twice in a row.
///   Two user messages in a row are fine: the first was cancelled, or a note came in between.
///
/// ```
/// use offshoot::{CallId, Message, Part, Role, ToolCall, testing::check_history};
///
/// let call = ToolCall::new(CallId::new("c1"), "Read", "{}");
/// let asked = Message { role: Role::Assistant, parts: vec![Part::Call(call)] };
/// let wrong = check_history(&[Message::user("hi"), asked]).unwrap_err();
/// assert_eq!(wrong, "message 1: call without result: `c1`");
/// ```
///
/// # Errors
/// The first thing that is wrong, with the number of the message, from 0.
pub fn check_history(messages: &[Message]) -> Result<(), String> {
    let mut before: Option<&Message> = None;
    for (at, message) in messages.iter().enumerate() {
        check_parts(message)
            .and_then(|()| check_order(before, message))
            .map_err(|wrong| format!("message {at}: {wrong}"))?;
        before = Some(message);
    }
    match before.and_then(|last| last.calls().next()) {
        Some(call) => Err(format!(
            "message {}: call without result: `{}`",
            messages.len() - 1,
            call.id
        )),
        None => Ok(()),
    }
}

fn check_parts(message: &Message) -> Result<(), String> {
    if message.parts.is_empty() {
        return Err("no parts".to_owned());
    }
    let mut ids = HashSet::new();
    for part in &message.parts {
        match (message.role, part) {
            (Role::Tool, Part::Result(_)) => {}
            (Role::Tool, _) => return Err("something other than a result among results".to_owned()),
            (_, Part::Result(result)) => {
                return Err(format!("result outside a tool message: `{}`", result.call));
            }
            (Role::User, Part::Call(call)) => {
                return Err(format!("call in a user message: `{}`", call.id));
            }
            (Role::User, Part::Reasoning { .. }) => {
                return Err("reasoning in a user message".to_owned());
            }
            (Role::Assistant, Part::Call(call)) => {
                if !ids.insert(call.id.as_str()) {
                    return Err(format!("two calls with the id: `{}`", call.id));
                }
                if !call.input.as_str().starts_with('{') {
                    return Err(format!("arguments are no object: `{}`", call.id));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_order(before: Option<&Message>, message: &Message) -> Result<(), String> {
    let Some(before) = before else {
        return match message.role {
            Role::User => Ok(()),
            role => Err(format!("the first message is not a user's: `{role:?}`")),
        };
    };
    if message.role == Role::Tool {
        return check_pairs(before, message);
    }
    if let Some(call) = before.calls().next() {
        return Err(format!("call before it without result: `{}`", call.id));
    }
    if message.role == Role::Assistant && before.role == Role::Assistant {
        return Err("the assistant speaks twice in a row".to_owned());
    }
    Ok(())
}

fn check_pairs(before: &Message, message: &Message) -> Result<(), String> {
    let mut results = message.tool_results();
    for call in before.calls() {
        match results.next() {
            Some(result) if result.call == call.id => {}
            Some(result) => return Err(misplaced(before, message, result)),
            None => return Err(format!("no result for call: `{}`", call.id)),
        }
    }
    match results.next() {
        Some(result) => Err(misplaced(before, message, result)),
        None => Ok(()),
    }
}

/// Words for a result that is not the one expected at its place.
fn misplaced(before: &Message, message: &Message, result: &ToolResult) -> String {
    let id = &result.call;
    if !before.calls().any(|call| call.id == *id) {
        return format!("result without call: `{id}`");
    }
    if message.tool_results().filter(|r| r.call == *id).count() > 1 {
        return format!("two results for call: `{id}`");
    }
    format!("result out of call order: `{id}`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::CallId,
        message::{Outcome, RawJson, ToolCall},
    };

    fn calls(ids: &[&str]) -> Message {
        let call = |id: &&str| Part::Call(ToolCall::new(CallId::new(*id), "t", "{}"));
        Message {
            role: Role::Assistant,
            parts: ids.iter().map(call).collect(),
        }
    }

    fn results(ids: &[&str]) -> Message {
        let result = |id: &&str| {
            let call = ToolCall::new(CallId::new(*id), "t", "{}");
            ToolResult::text(&call, Outcome::Ok, "x")
        };
        Message::results(ids.iter().map(result).collect())
    }

    fn check(messages: impl IntoIterator<Item = Message>, expected: &str) {
        let said = check_history(&messages.into_iter().collect::<Vec<_>>());
        assert_eq!(said.err().unwrap_or_default(), expected);
    }

    #[test]
    fn right_histories_pass() {
        let user = || Message::user("u");
        check([], "");
        check([user(), user(), Message::assistant("a"), user()], "");
        check(
            [
                user(),
                calls(&["1", "2"]),
                results(&["1", "2"]),
                user(),
                calls(&["1"]),
                results(&["1"]),
            ],
            "",
        );
        check(
            [
                user(),
                calls(&["1"]),
                results(&["1"]),
                Message::assistant("a"),
            ],
            "",
        );
    }

    #[test]
    fn wrong_histories_are_named() {
        let user = || Message::user("u");
        let two = || calls(&["1", "2"]);
        check(
            [Message::assistant("a")],
            "message 0: the first message is not a user's: `Assistant`",
        );
        check([Message::user_parts(vec![])], "message 0: no parts");
        check([user(), two()], "message 1: call without result: `1`");
        check(
            [user(), two(), user()],
            "message 2: call before it without result: `1`",
        );
        check(
            [user(), two(), results(&["1"])],
            "message 2: no result for call: `2`",
        );
        check(
            [user(), two(), results(&["2", "1"])],
            "message 2: result out of call order: `2`",
        );
        check(
            [user(), two(), results(&["1", "1", "2"])],
            "message 2: two results for call: `1`",
        );
        check(
            [user(), two(), results(&["1", "2", "3"])],
            "message 2: result without call: `3`",
        );
        check(
            [user(), results(&["1"])],
            "message 1: result without call: `1`",
        );
        check(
            [user(), calls(&["1", "1"])],
            "message 1: two calls with the id: `1`",
        );
        check(
            [user(), Message::assistant("a"), Message::assistant("b")],
            "message 2: the assistant speaks twice in a row",
        );
        let mut bad = calls(&["1"]);
        let Part::Call(call) = &mut bad.parts[0] else {
            unreachable!()
        };
        call.input = RawJson::parse("[]").unwrap();
        check([user(), bad], "message 1: arguments are no object: `1`");
        let stray = Message::user_parts(results(&["1"]).parts);
        check([stray], "message 0: result outside a tool message: `1`");
        let mut mixed = results(&["1"]);
        mixed.parts.push(Part::text("x"));
        check(
            [user(), calls(&["1"]), mixed],
            "message 2: something other than a result among results",
        );
    }
}
