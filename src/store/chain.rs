//! The chain of checksums: each record's sum covers it and the sum before it.
//! Refuses to be a signature: it finds damage, not forgery.

use xxhash_rust::xxh3::Xxh3;

/// The checksum of a record and of everything before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum(u128);

impl Sum {
    /// What stands before the first record.
    pub const START: Self = Self(0);

    /// The sum of the next record.
    #[must_use]
    #[expect(
        clippy::fn_params_excessive_bools,
        reason = "it is the bit of a row that the sum covers, under the name it has there"
    )]
    pub fn next(self, seq: u64, told: bool, body: &[u8]) -> Self {
        let mut hasher = Xxh3::new();
        hasher.update(&self.0.to_le_bytes());
        hasher.update(&seq.to_le_bytes());
        hasher.update(&[u8::from(told)]);
        hasher.update(body);
        Self(hasher.digest128())
    }

    /// As it is kept.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }

    /// From how it is kept; `None` when it is not sixteen bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(u128::from_le_bytes(bytes.try_into().ok()?)))
    }
}

impl std::fmt::Display for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl std::str::FromStr for Sum {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}
