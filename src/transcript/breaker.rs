//! Stops summaries that fail again and again, or that do not help.
//! Refuses to know why one failed; whoever asks for a summary by hand may ignore it.

use super::Thresholds;

/// So many failures in a row, and no further summary is tried.
const MAX_FAILURES: u32 = 3;
/// So many summaries in a row that leave the conversation too long, and no further one is tried:
/// what stays word for word is too large, and another summary cannot change that.
const MAX_FRUITLESS: u32 = 2;

/// Counts summaries that failed or did not help.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Breaker {
    failures: u32,
    fruitless: u32,
}

impl Breaker {
    /// Whether a summary may be tried.
    pub(crate) fn allows(&self) -> bool {
        self.failures < MAX_FAILURES && self.fruitless < MAX_FRUITLESS
    }

    /// A summary could not be made.
    pub(crate) fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// A summary was made and left so many tokens.
    pub(crate) fn succeeded(&mut self, after: u64, thresholds: &Thresholds) {
        self.failures = 0;
        self.fruitless = if after < thresholds.compact {
            0
        } else {
            self.fruitless.saturating_add(1)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: Thresholds = Thresholds {
        warning: 60,
        compact: 70,
        refuse: 80,
    };

    #[test]
    fn three_failures_in_a_row_stop_it_and_a_success_resets() {
        let mut breaker = Breaker::default();
        breaker.failed();
        breaker.failed();
        assert!(breaker.allows());
        breaker.succeeded(10, &LINES);
        breaker.failed();
        breaker.failed();
        assert!(breaker.allows(), "the success began the count anew");
        breaker.failed();
        assert!(!breaker.allows());
        breaker.succeeded(10, &LINES);
        assert!(
            breaker.allows(),
            "one by hand that worked opens the way again"
        );
    }

    #[test]
    fn invariant_8_summaries_that_do_not_help_cannot_loop() {
        let mut breaker = Breaker::default();
        breaker.succeeded(70, &LINES);
        assert!(breaker.allows(), "once may be bad luck");
        breaker.succeeded(70, &LINES);
        assert!(!breaker.allows());
        let mut breaker = Breaker::default();
        for after in [70, 69, 70, 69, 70] {
            breaker.succeeded(after, &LINES);
            assert!(breaker.allows(), "only two in a row count");
        }
    }

    /// The twin: one that counts only failures lets such summaries go on for ever.
    #[test]
    fn invariant_8_twin_a_breaker_that_counts_only_failures_loops() {
        let tried = |forget: fn(&mut Breaker)| {
            let mut breaker = Breaker::default();
            let tries = (0..100).take_while(|_| {
                let may = breaker.allows();
                breaker.succeeded(70, &LINES);
                forget(&mut breaker);
                may
            });
            tries.count()
        };
        assert_eq!(tried(|_| ()), 2);
        assert_eq!(tried(|breaker| breaker.fruitless = 0), 100);
    }
}
