//! The table of known models: vendor, name, limits, price. Data, checked against the vendors' lists.
//! Refuses to guess: a price that is not certain is left out, and a cousin's price is never borrowed.

use super::model::LongPrice;
use crate::usage::Price;

/// One row of the table.
pub(super) struct Row {
    vendors: &'static [&'static str],
    name: &'static str,
    fit: Fit,
    pub(super) window: u64,
    pub(super) max_input: Option<u64>,
    pub(super) max_output: u64,
    pub(super) price: Option<Price>,
    pub(super) long: Option<LongPrice>,
    pub(super) native_schema: bool,
}

/// Which names a row speaks for.
#[derive(Clone, Copy, PartialEq)]
enum Fit {
    /// The name and its dated versions: `-20250929`, `@20250929`, `-2025-08-07`, `-001`, `-latest`.
    Dated,
    /// Every name that ends like this.
    Ending,
    /// Every name that begins like this. Such rows have limits and, except where nothing costs
    /// anything, no price.
    Family,
}

/// The row for a name: an exact name, else the longest one that fits.
pub(super) fn find(vendor: &str, name: &str) -> Option<&'static Row> {
    let rows = || ROWS.iter().filter(|row| row.vendors.contains(&vendor));
    rows()
        .find(|row| row.fit == Fit::Dated && row.name == name)
        .or_else(|| {
            rows()
                .filter(|row| row.fits(name))
                .max_by_key(|row| row.name.len())
        })
}

impl Row {
    fn fits(&self, name: &str) -> bool {
        if self.fit == Fit::Ending {
            return name.ends_with(self.name);
        }
        let Some(rest) = name.strip_prefix(self.name) else {
            return false;
        };
        match self.fit {
            Fit::Dated => rest.is_empty() || is_stamp(rest),
            Fit::Family | Fit::Ending => true,
        }
    }

    const fn window(mut self, window: u64) -> Self {
        self.window = window;
        self
    }

    const fn input(mut self, tokens: u64) -> Self {
        self.max_input = Some(tokens);
        self
    }

    const fn price(mut self, price: Price) -> Self {
        self.price = Some(price);
        self
    }

    const fn long(mut self, above: u64, price: Price) -> Self {
        self.long = Some(LongPrice { above, price });
        self
    }

    const fn no_schema(mut self) -> Self {
        self.native_schema = false;
        self
    }
}

/// Whether this is a date or a version number, so that the model is the one before it.
fn is_stamp(rest: &str) -> bool {
    let Some(rest) = rest.strip_prefix(['-', '@']) else {
        return false;
    };
    let digits = rest.bytes().filter(u8::is_ascii_digit).count();
    rest == "latest"
        || (digits >= 3
            && rest.bytes().all(|b| b.is_ascii_digit() || b == b'-')
            && rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Prices in millionths of a dollar for a million tokens: input, read from cache, output.
const fn price(input: u64, cache_read: u64, output: u64) -> Price {
    Price {
        input,
        output,
        cache_read,
        cache_write: input,
        cache_write_hour: input,
    }
}

/// Anthropic's cache: writing costs 1.25 times the input, for an hour 2 times, reading a tenth.
const fn claude_price(input: u64, output: u64) -> Price {
    Price {
        input,
        output,
        cache_read: input / 10,
        cache_write: input / 4 * 5,
        cache_write_hour: input * 2,
    }
}

/// OpenAI's newer cache: writing costs 1.25 times the input, reading a tenth.
const fn gpt_written_price(input: u64, output: u64) -> Price {
    Price {
        cache_write: input / 4 * 5,
        cache_write_hour: input / 4 * 5,
        ..price(input, input / 10, output)
    }
}

const fn row(vendors: &'static [&'static str], name: &'static str, max_output: u64) -> Row {
    Row {
        vendors,
        name,
        fit: Fit::Dated,
        window: 200_000,
        max_input: None,
        max_output,
        price: None,
        long: None,
        native_schema: true,
    }
}

const fn family(vendors: &'static [&'static str], name: &'static str, max_output: u64) -> Row {
    Row {
        fit: Fit::Family,
        ..row(vendors, name, max_output)
    }
}

const fn claude(name: &'static str, max_output: u64) -> Row {
    row(&["anthropic"], name, max_output)
}

/// The fifth generation takes 272,000 tokens of prompt in a window of 400,000.
const fn gpt5(name: &'static str) -> Row {
    gpt(name, 128_000).window(400_000).input(272_000)
}

/// Its later members take 922,000 of 1,050,000; prompts above 272,000 cost twice, their answers half more.
const fn gpt5_long(name: &'static str, base: Price) -> Row {
    let long = Price {
        input: base.input * 2,
        output: base.output / 2 * 3,
        cache_read: base.cache_read * 2,
        cache_write: base.cache_write * 2,
        cache_write_hour: base.cache_write_hour * 2,
    };
    gpt(name, 128_000)
        .window(1_050_000)
        .input(922_000)
        .price(base)
        .long(272_000, long)
}

const fn gpt(name: &'static str, max_output: u64) -> Row {
    row(GPT, name, max_output).window(128_000)
}

const fn gemini(name: &'static str, max_output: u64) -> Row {
    row(&["gemini"], name, max_output).window(1_048_576)
}

const GPT: &[&str] = &["openai", "openai-chat"];

/// Public list prices of the vendors' own APIs (standard tier, text), last checked in August 2026.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    // Runs here, so nothing is billed: the price is known, and it is zero.
    family(&["offline"], "", 8_192).price(price(0, 0, 0)),
    // The model runs on a machine of yours, so nothing is billed. The window is what an agent needs
    // at least; the server's own default is smaller, so requests must say it (`num_ctx`).
    family(&["ollama"], "", 8_192).window(32_768).price(price(0, 0, 0)),
    // Except those that Ollama's cloud runs, for a price that is not by the token.
    Row { fit: Fit::Ending, ..family(&["ollama"], "cloud", 8_192).window(131_072) },

    family(&["anthropic"], "claude-", 32_000),
    claude("claude-opus-5", 64_000).window(1_000_000).price(claude_price(5_000_000, 25_000_000)),
    claude("claude-opus-4-8", 128_000).window(1_000_000).price(claude_price(5_000_000, 25_000_000)),
    claude("claude-opus-4-7", 128_000).window(1_000_000).price(claude_price(5_000_000, 25_000_000)),
    claude("claude-opus-4-6", 128_000).window(1_000_000).price(claude_price(5_000_000, 25_000_000)),
    claude("claude-opus-4-5", 64_000).price(claude_price(5_000_000, 25_000_000)),
    claude("claude-opus-4-1", 32_000).price(claude_price(15_000_000, 75_000_000)),
    claude("claude-opus-4-0", 32_000).price(claude_price(15_000_000, 75_000_000)).no_schema(),
    claude("claude-opus-4", 32_000).price(claude_price(15_000_000, 75_000_000)).no_schema(),
    // Introduced at two thirds of this until the end of August 2026.
    claude("claude-sonnet-5", 128_000).window(1_000_000).price(claude_price(3_000_000, 15_000_000)),
    claude("claude-sonnet-4-6", 64_000).window(1_000_000).price(claude_price(3_000_000, 15_000_000)),
    claude("claude-sonnet-4-5", 64_000).price(claude_price(3_000_000, 15_000_000))
        .long(200_000, claude_price(6_000_000, 22_500_000)),
    claude("claude-sonnet-4-0", 64_000).price(claude_price(3_000_000, 15_000_000))
        .long(200_000, claude_price(6_000_000, 22_500_000)).no_schema(),
    claude("claude-sonnet-4", 64_000).price(claude_price(3_000_000, 15_000_000))
        .long(200_000, claude_price(6_000_000, 22_500_000)).no_schema(),
    claude("claude-haiku-4-5", 64_000).price(claude_price(1_000_000, 5_000_000)),
    claude("claude-3-7-sonnet", 64_000).price(claude_price(3_000_000, 15_000_000)).no_schema(),
    claude("claude-3-5-sonnet", 8_192).price(claude_price(3_000_000, 15_000_000)).no_schema(),
    claude("claude-3-5-haiku", 8_192).price(claude_price(800_000, 4_000_000)).no_schema(),
    claude("claude-3-opus", 4_096).price(claude_price(15_000_000, 75_000_000)).no_schema(),
    // Its cache prices are listed rounded, not as multiples.
    claude("claude-3-haiku", 4_096).no_schema().price(Price {
        input: 250_000, output: 1_250_000, cache_read: 30_000, cache_write: 300_000, cache_write_hour: 500_000,
    }),

    family(GPT, "gpt-", 16_384).window(128_000),
    family(GPT, "gpt-5", 128_000).window(400_000).input(272_000),
    gpt5_long("gpt-5.6", gpt_written_price(5_000_000, 30_000_000)),
    gpt5_long("gpt-5.6-sol", gpt_written_price(5_000_000, 30_000_000)),
    gpt5_long("gpt-5.6-terra", gpt_written_price(2_000_000, 12_000_000)),
    gpt5_long("gpt-5.6-luna", gpt_written_price(200_000, 1_200_000)),
    gpt5_long("gpt-5.5", price(5_000_000, 500_000, 30_000_000)),
    gpt5_long("gpt-5.5-pro", price(30_000_000, 30_000_000, 180_000_000)),
    gpt5_long("gpt-5.4", price(2_500_000, 250_000, 15_000_000)),
    gpt5_long("gpt-5.4-pro", price(30_000_000, 30_000_000, 180_000_000)).no_schema(),
    gpt5("gpt-5.4-mini").price(price(750_000, 75_000, 4_500_000)),
    gpt5("gpt-5.4-nano").price(price(200_000, 20_000, 1_250_000)),
    gpt5("gpt-5.3-codex").price(price(1_750_000, 175_000, 14_000_000)),
    gpt("gpt-5.3-chat", 16_384).price(price(1_750_000, 175_000, 14_000_000)),
    gpt5("gpt-5.2").price(price(1_750_000, 175_000, 14_000_000)),
    gpt5("gpt-5.2-codex").price(price(1_750_000, 175_000, 14_000_000)),
    gpt("gpt-5.2-chat", 16_384).price(price(1_750_000, 175_000, 14_000_000)),
    gpt5("gpt-5.2-pro").price(price(21_000_000, 21_000_000, 168_000_000)).no_schema(),
    gpt5("gpt-5.1").price(price(1_250_000, 125_000, 10_000_000)),
    gpt5("gpt-5.1-codex").price(price(1_250_000, 125_000, 10_000_000)),
    gpt5("gpt-5.1-codex-max").price(price(1_250_000, 125_000, 10_000_000)),
    gpt5("gpt-5.1-codex-mini").price(price(250_000, 25_000, 2_000_000)),
    gpt("gpt-5.1-chat", 16_384).price(price(1_250_000, 125_000, 10_000_000)),
    gpt5("gpt-5").price(price(1_250_000, 125_000, 10_000_000)),
    gpt5("gpt-5-codex").price(price(1_250_000, 125_000, 10_000_000)),
    gpt5("gpt-5-mini").price(price(250_000, 25_000, 2_000_000)),
    gpt5("gpt-5-nano").price(price(50_000, 5_000, 400_000)),
    gpt("gpt-5-chat", 16_384).price(price(1_250_000, 125_000, 10_000_000)),
    gpt5("gpt-5-pro").price(price(15_000_000, 15_000_000, 120_000_000)),
    gpt("gpt-4.1", 32_768).window(1_047_576).price(price(2_000_000, 500_000, 8_000_000)),
    gpt("gpt-4.1-mini", 32_768).window(1_047_576).price(price(400_000, 100_000, 1_600_000)),
    gpt("gpt-4.1-nano", 32_768).window(1_047_576).price(price(100_000, 25_000, 400_000)),
    gpt("gpt-4o", 16_384).price(price(2_500_000, 1_250_000, 10_000_000)),
    gpt("gpt-4o-2024-05-13", 4_096).price(price(5_000_000, 5_000_000, 15_000_000)).no_schema(),
    gpt("gpt-4o-mini", 16_384).price(price(150_000, 75_000, 600_000)),
    gpt("gpt-4-turbo", 4_096).price(price(10_000_000, 10_000_000, 30_000_000)).no_schema(),
    gpt("o4-mini", 100_000).window(200_000).price(price(1_100_000, 275_000, 4_400_000)),
    gpt("o3", 100_000).window(200_000).price(price(2_000_000, 500_000, 8_000_000)),
    gpt("o3-mini", 100_000).window(200_000).price(price(1_100_000, 550_000, 4_400_000)),
    gpt("o3-pro", 100_000).window(200_000).price(price(20_000_000, 20_000_000, 80_000_000)),
    gpt("o1", 100_000).window(200_000).price(price(15_000_000, 7_500_000, 60_000_000)),

    family(&["gemini"], "gemini-", 65_536).window(1_048_576),
    gemini("gemini-3.6-flash", 65_536).price(price(1_500_000, 150_000, 7_500_000)),
    gemini("gemini-3.5-flash", 65_536).price(price(1_500_000, 150_000, 9_000_000)),
    gemini("gemini-3.5-flash-lite", 65_536).price(price(300_000, 30_000, 2_500_000)),
    gemini("gemini-3.1-pro-preview", 65_536).price(price(2_000_000, 200_000, 12_000_000))
        .long(200_000, price(4_000_000, 400_000, 18_000_000)),
    gemini("gemini-3.1-flash-lite", 65_536).price(price(250_000, 25_000, 1_500_000)),
    gemini("gemini-3-pro-preview", 65_536).price(price(2_000_000, 200_000, 12_000_000))
        .long(200_000, price(4_000_000, 400_000, 18_000_000)),
    gemini("gemini-3-flash-preview", 65_536).price(price(500_000, 50_000, 3_000_000)),
    gemini("gemini-2.5-pro", 65_536).price(price(1_250_000, 125_000, 10_000_000))
        .long(200_000, price(2_500_000, 250_000, 15_000_000)),
    gemini("gemini-2.5-flash", 65_536).price(price(300_000, 30_000, 2_500_000)),
    gemini("gemini-2.5-flash-lite", 65_536).price(price(100_000, 10_000, 400_000)),
    gemini("gemini-2.0-flash", 8_192).price(price(100_000, 25_000, 400_000)),
    gemini("gemini-2.0-flash-lite", 8_192).price(price(75_000, 75_000, 300_000)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_consistent() {
        assert!(ROWS.len() > 60);
        for (at, row) in ROWS.iter().enumerate() {
            let name = row.name;
            let same = |other: &Row| other.name == name && other.fit == row.fit;
            let twin = |other: &Row| same(other) && other.vendors == row.vendors;
            assert!(!ROWS[..at].iter().any(twin), "two rows: {name}");
            assert!(row.max_output < row.window, "{name}");
            assert!(row.max_input.is_none_or(|n| n <= row.window), "{name}");
            let free = ["offline", "ollama"].contains(&row.vendors[0]);
            let Some(price) = row.price else {
                assert!(
                    row.fit != Fit::Dated,
                    "{name}: an own row without a price says nothing"
                );
                continue;
            };
            assert_eq!(free, price.input == 0 || price.output == 0, "{name}");
            assert!(
                row.fit == Fit::Dated || free,
                "{name}: a family has no price"
            );
            assert!(
                price.cache_read <= price.input && price.input <= price.cache_write,
                "{name}"
            );
            if let Some(long) = row.long {
                assert!(
                    long.price.input > price.input && long.above < 1_000_000,
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn stamps() {
        for yes in ["-20250929", "@20250929", "-2025-08-07", "-001", "-latest"] {
            assert!(is_stamp(yes), "{yes}");
        }
        for no in [
            "",
            "-",
            "-1",
            "-5",
            "-mini",
            "-preview-05-20",
            ".1",
            "-0309-x",
            "--123",
        ] {
            assert!(!is_stamp(no), "{no}");
        }
    }

    #[test]
    fn the_cache_prices_follow_the_vendors_rules() {
        let sonnet = find("anthropic", "claude-sonnet-4-5")
            .unwrap()
            .price
            .unwrap();
        assert_eq!(
            (
                sonnet.cache_read,
                sonnet.cache_write,
                sonnet.cache_write_hour
            ),
            (300_000, 3_750_000, 6_000_000)
        );
        let gpt = find("openai-chat", "gpt-5").unwrap().price.unwrap();
        assert_eq!((gpt.cache_read, gpt.cache_write), (125_000, 1_250_000));
    }
}
