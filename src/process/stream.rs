//! What a program is told and what it says: written whole, kept up to a cap, read to the end.
//! Refuses to stop reading at the cap, because a program would block on a full pipe.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes that are read at once.
const BLOCK: usize = 32 * 1024;

/// What was kept of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Captured {
    /// The beginning of it.
    pub bytes: Vec<u8>,
    /// How many bytes came after that and were dropped.
    pub dropped: u64,
    cap: usize,
}

impl Captured {
    pub(super) fn up_to(cap: usize) -> Self {
        Self {
            cap,
            ..Self::default()
        }
    }

    /// As text; what is no UTF-8 becomes a replacement character.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// Whether nothing was dropped.
    pub fn is_whole(&self) -> bool {
        self.dropped == 0
    }

    /// Reads to the end.
    pub(super) async fn fill(&mut self, pipe: Option<impl AsyncRead + Unpin>) {
        let Some(mut pipe) = pipe else { return };
        let mut block = vec![0; BLOCK];
        // A pipe that cannot be read has ended, whatever the reason.
        while let Ok(read @ 1..) = pipe.read(&mut block).await {
            let kept = read.min(self.cap - self.bytes.len());
            self.bytes.extend_from_slice(&block[..kept]);
            self.dropped += (read - kept) as u64;
        }
    }
}

/// Writes all of it and closes the pipe. A program that does not want to read more is let be.
pub(super) async fn feed(pipe: Option<impl AsyncWrite + Unpin>, input: Vec<u8>) {
    let Some(mut pipe) = pipe else { return };
    if pipe.write_all(&input).await.is_ok() {
        let _ = pipe.shutdown().await;
    }
}
