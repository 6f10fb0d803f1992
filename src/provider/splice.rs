//! The body of a request from kept bytes: a head, with tools and messages put in before its end.
//! Refuses to encode anything; every vendor here sends one object with a list in it.

use std::borrow::Cow;

/// The object `head` with a member `tools`, where there are any, and a member `list` of `items`.
pub(super) fn splice(
    head: &[u8],
    tools: Option<&[u8]>,
    list: &str,
    items: &[Cow<'_, [u8]>],
) -> Vec<u8> {
    const TOOLS: &[u8] = b",\"tools\":";
    let room = head.len()
        + tools.map_or(0, |tools| TOOLS.len() + tools.len())
        + list.len()
        + items.iter().map(|item| item.len() + 1).sum::<usize>()
        + b",\"\":[]}".len();
    let mut out = Vec::with_capacity(room);
    out.extend_from_slice(&head[..head.len() - 1]);
    if let Some(tools) = tools {
        out.extend_from_slice(TOOLS);
        out.extend_from_slice(tools);
    }
    out.extend_from_slice(b",\"");
    out.extend_from_slice(list.as_bytes());
    out.extend_from_slice(b"\":[");
    for item in items {
        out.extend_from_slice(item);
        out.push(b',');
    }
    if !items.is_empty() {
        out.pop();
    }
    out.extend_from_slice(b"]}");
    out
}
