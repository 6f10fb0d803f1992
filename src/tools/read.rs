//! `Read`: text by line numbers, pictures and PDFs as they are.
//! Refuses folders, binary files, and to hold more of a file in memory than it shows.

use std::{
    borrow::Cow,
    fs::File,
    io::{self, BufRead, BufReader, Read as _, Seek},
    time::Duration,
};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{aliases, run, similar};
use crate::{
    message::Media,
    spec::{Reach, ToolSpec},
    tool::{ToolContext, ToolOutput, TypedTool},
    workspace::{Limits, Reader, Stop, WorkError, WorkPath, Workspace},
};

/// Lines that one answer shows when nobody says otherwise.
const LINES: u64 = 2000;
/// Characters of one line.
const LINE_CHARS: usize = 2000;
/// Bytes of one line that are held; as many characters fit in it, whatever their width.
const LINE_BYTES: u64 = 4 * LINE_CHARS as u64 + 4;
/// Bytes of one answer. Less than what the engine cuts results to, since it cuts the middle out.
const ANSWER_BYTES: usize = 90_000;
/// Bytes at the start of a file that tell what it is.
pub(super) const HEAD_BYTES: u64 = 8 << 10;
/// Bytes of a picture.
const PICTURE_BYTES: u64 = 5 << 20;
/// Bytes of a PDF.
const PDF_BYTES: u64 = 20 << 20;
/// Bytes that are read on only to say how many lines there are.
const COUNTED_BYTES: u64 = 16 << 20;

/// How long it may take to get to a line far inside a huge file.
const LIMITS: Limits = Limits {
    time: Duration::from_secs(60),
    ..Limits::DEFAULT
};

/// The tool.
#[derive(Debug)]
pub(super) struct Read(pub(super) Workspace);

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Input {
    /// The file to read.
    file_path: String,
    /// The number of the first line to show; lines count from 1.
    #[serde(default)]
    offset: Option<u64>,
    /// How many lines to show; 2,000 by default.
    #[serde(default)]
    limit: Option<u64>,
}

impl TypedTool for Read {
    const NAME: &'static str = "Read";
    type Input = Input;

    fn description(&self) -> Cow<'static, str> {
        include_str!("read.md").trim_end().into()
    }

    fn manners(&self, spec: ToolSpec) -> ToolSpec {
        spec.reads().reaches(Reach::File).subject("file_path")
    }

    fn subjects(&self, _: &ToolSpec, input: &Value) -> Vec<String> {
        aliases(&self.0, input, "file_path")
    }

    async fn call(&self, ctx: ToolContext, input: Input) -> ToolOutput {
        let workspace = self.0.clone();
        run(&ctx, LIMITS, move |stop| read(&workspace, stop, &input)).await
    }
}

fn read(workspace: &Workspace, stop: &Stop, input: &Input) -> Result<ToolOutput, WorkError> {
    let path = workspace.resolve(&input.file_path)?;
    let (mut file, facts) = match workspace.open_file(&path) {
        Ok(opened) => opened,
        Err(WorkError::Folder { path }) => {
            return Ok(ToolOutput::failed(format!(
                "this is a folder, list it with LS: `{path}`"
            )));
        }
        Err(error) => return Ok(similar::failed(workspace, &path, &error)),
    };
    let fault = |error| fault(&path, error);
    let head = head(&mut file).map_err(fault)?;
    if let Some((mime, limit)) = media(&head) {
        if facts.size > limit {
            return Ok(ToolOutput::failed(format!(
                "this {mime} is too large to show, {} bytes where at most {limit} fit: `{path}`",
                facts.size
            )));
        }
        let mut media = Media::bytes(mime, &workspace.read(&path, limit)?);
        media.name = path
            .relative()
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        return Ok(ToolOutput::media(media));
    }
    if head.contains(&0) {
        return Ok(format!("(binary file, {} bytes)", facts.size).into());
    }
    let lines = Lines {
        reader: BufReader::with_capacity(64 << 10, Reader::new(file, stop.clone())),
        // People and models who count from 0 mean the same first line.
        first: input.offset.unwrap_or(1).max(1),
        limit: input.limit.filter(|limit| *limit > 0).unwrap_or(LINES),
    };
    match lines.show().map_err(fault)? {
        Ok(text) => Ok(text.into()),
        Err(count) => Ok(ToolOutput::failed(format!(
            "there is no line {}, the file has {count} lines: `{path}`",
            input.offset.unwrap_or(1)
        ))),
    }
}

/// The first bytes of a file, which then stands at its start again.
pub(super) fn head(file: &mut File) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    file.take(HEAD_BYTES).read_to_end(&mut head)?;
    file.rewind()?;
    Ok(head)
}

/// A stop is no fault of the file.
pub(super) fn fault(path: &WorkPath, source: io::Error) -> WorkError {
    if source
        .get_ref()
        .is_some_and(|inner| inner.is::<WorkError>())
    {
        return WorkError::Stopped;
    }
    WorkError::Io {
        path: path.to_string(),
        source,
    }
}

/// What models can be shown as it is, by its first bytes: names lie.
fn media(head: &[u8]) -> Option<(&'static str, u64)> {
    let webp = head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP");
    match head {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => {
            Some(("image/png", PICTURE_BYTES))
        }
        [0xFF, 0xD8, 0xFF, ..] => Some(("image/jpeg", PICTURE_BYTES)),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(("image/gif", PICTURE_BYTES)),
        [b'%', b'P', b'D', b'F', b'-', ..] => Some(("application/pdf", PDF_BYTES)),
        _ if webp => Some(("image/webp", PICTURE_BYTES)),
        _ => None,
    }
}

/// The lines of a file that one answer shows.
struct Lines {
    reader: BufReader<Reader<File>>,
    first: u64,
    limit: u64,
}

impl Lines {
    /// The answer, or the number of lines when the first one asked for is past the end.
    fn show(mut self) -> io::Result<Result<String, u64>> {
        for skipped in 0..self.first - 1 {
            if self.reader.skip_until(b'\n')? == 0 {
                return Ok(Err(skipped));
            }
        }
        let mut out = String::new();
        let mut next = self.first;
        let mut line = Vec::new();
        let mut more = false;
        while next - self.first < self.limit {
            let Some(length) = self.line(&mut line)? else {
                break;
            };
            let start = out.len();
            number(&mut out, next, &line, length);
            if out.len() > ANSWER_BYTES {
                // This line does not fit; the answer goes up to the one before.
                out.truncate(start);
                more = true;
                break;
            }
            next += 1;
        }
        if next == self.first && !more {
            let empty = self.first == 1;
            return Ok(if empty {
                Ok("(empty file)".into())
            } else {
                Err(self.first - 1)
            });
        }
        // The line that did not fit was read already.
        let rest = self.count_rest()?;
        let total = rest.map(|rest| rest + next - 1 + u64::from(more));
        let shown = format!("lines {}-{}", self.first, next - 1);
        match total {
            Some(total) if total < next && self.first == 1 => {
                out.truncate(out.trim_end_matches('\n').len().max(1));
            }
            Some(total) if total < next => {
                out.push_str(&format!("({shown} of {total} shown; end of file)"));
            }
            Some(total) => {
                out.push_str(&format!("({shown} of {total} shown; next offset {next})"));
            }
            None => out.push_str(&format!("({shown} shown; next offset {next})")),
        }
        Ok(Ok(out))
    }

    /// The start of the next line without its end, and the length of all of it.
    fn line(&mut self, line: &mut Vec<u8>) -> io::Result<Option<u64>> {
        line.clear();
        let mut length = (&mut self.reader)
            .take(LINE_BYTES)
            .read_until(b'\n', line)? as u64;
        if length == 0 {
            return Ok(None);
        }
        let whole = line.last() == Some(&b'\n');
        if whole {
            line.pop();
            length -= 1;
        } else if length == LINE_BYTES {
            length += self.skip_line()?;
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(Some(length))
    }

    /// Passes over the rest of a line and its end; says how long the rest is without the end.
    fn skip_line(&mut self) -> io::Result<u64> {
        let passed = self.reader.skip_until(b'\n')? as u64;
        // It stops behind a line end or at the end of the file, and does not say at which.
        let at_end = self.reader.fill_buf()?.is_empty();
        let ended = !at_end || self.reader.get_ref().last() == Some(b'\n');
        Ok(passed - u64::from(ended && passed > 0))
    }

    /// How many lines are left; `None` when that takes too long to find out.
    fn count_rest(&mut self) -> io::Result<Option<u64>> {
        let mut reader = (&mut self.reader).take(COUNTED_BYTES);
        let mut lines = 0;
        while reader.skip_until(b'\n')? > 0 {
            lines += 1;
        }
        let whole = reader.limit() > 0;
        Ok(whole.then_some(lines))
    }
}

fn number(out: &mut String, number: u64, line: &[u8], length: u64) {
    let text = String::from_utf8_lossy(line);
    let text = match number {
        1 => text.strip_prefix('\u{FEFF}').unwrap_or(&text),
        _ => &text,
    };
    out.push_str(&format!("{number:>6}→"));
    match text.char_indices().nth(LINE_CHARS) {
        Some((end, _)) => {
            out.push_str(&text[..end]);
            out.push_str(&format!(" [… line cut here, it has {length} bytes]"));
        }
        None => out.push_str(text),
    }
    out.push('\n');
}
