//! The front matter of a Markdown file: the flat part of YAML that such files use.
//! Refuses anchors, tags and nesting, which no file needs; a whole YAML reader would have them all.
//!
//! Written here because the crates that read YAML are either no longer kept or larger than all of
//! this room, and because the files in use are often not quite YAML: a colon in a plain
//! description is an error there and a colon here.

/// Keys of one file.
const MAX_KEYS: usize = 64;

/// The value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// Nothing.
    Empty,
    /// Words: plain, quoted, or a block.
    Text(String),
    /// A list of words.
    List(Vec<String>),
    /// Something that is not understood.
    Other,
}

/// Keys and values, in their order.
pub(super) type Fields = Vec<(String, Field)>;

/// The fields of a file's front matter, and what follows it.
pub(super) fn split(text: &str) -> Result<(Fields, &str), String> {
    let mut rest = text;
    if line(&mut rest).map(str::trim_end) != Some("---") {
        return Err("it does not begin with front matter".into());
    }
    let mut lines = Vec::new();
    loop {
        match line(&mut rest).map(str::trim_end) {
            None => return Err("its front matter does not end".into()),
            Some("---" | "...") => break,
            Some(text) => lines.push(text),
        }
    }
    Ok((fields(&lines)?, rest))
}

fn line<'a>(rest: &mut &'a str) -> Option<&'a str> {
    if rest.is_empty() {
        return None;
    }
    let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
    *rest = after;
    Some(line)
}

fn fields(lines: &[&str]) -> Result<Fields, String> {
    let mut fields = Fields::new();
    let mut at = 0;
    while let Some(text) = lines.get(at) {
        at += 1;
        if is_blank(text) {
            continue;
        }
        let Some((key, value)) = key_of(text) else {
            return Err(format!(
                "line {} of its front matter is not understood",
                at + 1
            ));
        };
        // What belongs to this key: indented lines, and items, which need no indent.
        let own = lines[at..].iter().take_while(|next| {
            next.is_empty() || next.starts_with([' ', '\t', '#']) || is_item(next)
        });
        let own: Vec<_> = own.copied().collect();
        at += own.len();
        if fields.iter().any(|(had, _)| had == key) {
            return Err(format!("a key is said twice: `{key}`"));
        }
        if fields.len() == MAX_KEYS {
            return Err(format!("it has more than {MAX_KEYS} keys"));
        }
        fields.push((key.to_owned(), field(value, &own)));
    }
    Ok(fields)
}

fn is_blank(line: &str) -> bool {
    line.trim().is_empty() || line.trim_start().starts_with('#')
}

fn is_item(line: &str) -> bool {
    let line = line.trim_start();
    line == "-" || line.starts_with("- ")
}

fn key_of(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(':')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let spaced = value.is_empty() || value.starts_with([' ', '\t']);
    (spaced && !key.is_empty() && key.chars().all(plain)).then(|| (key, value.trim()))
}

/// The value that begins behind a key and goes on in the lines below it.
fn field(value: &str, own: &[&str]) -> Field {
    let below = || own.iter().filter(|line| !is_blank(line));
    match value.as_bytes().first() {
        None | Some(b'#') => match below().next() {
            None => Field::Empty,
            Some(first) if is_item(first) => items(below().copied()),
            Some(first) if key_of(first.trim_start()).is_some() => Field::Other,
            Some(_) => Field::Text(folded(own.iter().copied())),
        },
        Some(b'|' | b'>') => block(value, own),
        Some(b'[') => flow(value, own),
        Some(b'"' | b'\'') => match quoted(value) {
            Some(text) if below().next().is_none() => Field::Text(text),
            _ => Field::Other,
        },
        Some(b'{' | b'&' | b'!' | b'@' | b'`') => Field::Other,
        Some(_) if below().any(|line| is_item(line)) => Field::Other,
        Some(_) => Field::Text(folded(std::iter::once(value).chain(own.iter().copied()))),
    }
}

/// Plain words over several lines are one line.
fn folded<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let lines = lines
        .filter(|line| !is_blank(line))
        .map(|line| uncommented(line).trim());
    lines.collect::<Vec<_>>().join(" ")
}

/// A block keeps its lines, or joins them where it begins with `>`.
fn block(head: &str, own: &[&str]) -> Field {
    let style = uncommented(&head[1..]).trim();
    if !style.chars().all(|c| matches!(c, '+' | '-' | '1'..='9')) {
        return Field::Other;
    }
    let indent = own
        .iter()
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.len() - line.trim_start().len())
        .min()
        .unwrap_or(0);
    let lines: Vec<_> = own
        .iter()
        .map(|line| line.get(indent..).unwrap_or(""))
        .collect();
    let text = if head.starts_with('|') {
        lines.join("\n")
    } else {
        let paragraphs = lines.split(|line| line.trim().is_empty());
        let paragraphs = paragraphs.filter(|lines| !lines.is_empty());
        paragraphs
            .map(|lines| lines.join(" "))
            .collect::<Vec<_>>()
            .join("\n")
    };
    Field::Text(text.trim_end().to_owned())
}

fn items<'a>(lines: impl Iterator<Item = &'a str>) -> Field {
    let mut list = Vec::new();
    for line in lines {
        let Some(item) = line.trim_start().strip_prefix('-') else {
            return Field::Other;
        };
        match scalar(item.trim()) {
            Some(item) if !item.is_empty() => list.push(item),
            _ => return Field::Other,
        }
    }
    Field::List(list)
}

/// `[a, "b"]`, also over several lines.
fn flow(value: &str, own: &[&str]) -> Field {
    let whole = folded(std::iter::once(value).chain(own.iter().copied()));
    let Some(inside) = whole.strip_prefix('[').and_then(|w| w.strip_suffix(']')) else {
        return Field::Other;
    };
    let mut list = Vec::new();
    let mut rest = inside.trim();
    while !rest.is_empty() {
        let end = match rest.as_bytes()[0] {
            quote @ (b'"' | b'\'') => match closing(rest, quote) {
                Some(end) => end,
                None => return Field::Other,
            },
            _ => rest.find(',').unwrap_or(rest.len()),
        };
        let (item, after) = rest.split_at(end);
        match scalar(item.trim()) {
            Some(item) if !item.is_empty() && !item.contains(['[', ']', '{', '}']) => {
                list.push(item);
            }
            _ => return Field::Other,
        }
        rest = match after.trim_start().strip_prefix(',') {
            Some(after) => after.trim_start(),
            None if after.trim().is_empty() => "",
            None => return Field::Other,
        };
    }
    Field::List(list)
}

/// One word or several on one line.
fn scalar(text: &str) -> Option<String> {
    match text.as_bytes().first() {
        Some(b'"' | b'\'') => quoted(text),
        Some(b'{' | b'[' | b'&' | b'!' | b'|' | b'>') => None,
        _ => Some(uncommented(text).trim().to_owned()),
    }
}

/// Plain words end where a comment begins.
fn uncommented(text: &str) -> &str {
    let comment = text.find(" #").or_else(|| text.find("\t#"));
    comment.map_or(text, |at| &text[..at])
}

/// Where a quoted text that begins here ends: behind its last quote.
fn closing(text: &str, quote: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quote == b'"' => at += 2,
            b'\'' if quote == b'\'' && bytes.get(at + 1) == Some(&b'\'') => at += 2,
            byte if byte == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

fn quoted(text: &str) -> Option<String> {
    let quote = text.bytes().next()?;
    let end = closing(text, quote)?;
    let after = text[end..].trim_start();
    if !after.is_empty() && !after.starts_with('#') {
        return None;
    }
    let inside = &text[1..end - 1];
    if quote == b'\'' {
        return Some(inside.replace("''", "'"));
    }
    // What a double-quoted text may hold is, for the escapes in use, what JSON may.
    serde_json::from_str(&format!("\"{}\"", inside.replace('\t', "\\t"))).ok()
}
