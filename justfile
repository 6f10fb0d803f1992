# Everyday commands. `just` alone lists them.

default:
    @just --list

# Formats everything
fmt:
    cargo fmt

# What CI refuses
lint:
    cargo fmt --check && cargo clippy --all-targets --all-features -- -D warnings

# All tests, small proofs
test:
    cargo test --all-features

# All tests, full proofs; takes long
proof:
    OFFSHOOT_PROOF=full cargo test --release --all-features

# The orders that threads may run in, each tried out
models:
    RUSTFLAGS="--cfg offshoot_loom" cargo test --no-default-features --lib -- registry::tests::models

# The documentation, warnings denied
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --all-features

# Each feature alone
features:
    .ci/features

# The benchmarks against the floors; writes BENCHMARKS.md
bench:
    .ci/bench

# Instructions of turns against the floors; OFFSHOOT_BLESS=1 accepts them for the gate of CI
count:
    cargo bench --bench turns -- count

# What other libraries need for the same; compiles long, needs valgrind
peers:
    .ci/peers

# Packages, binaries, building and the first request against the floor; takes long
size:
    .ci/size

# What CI runs
ci:
    bash .ci/run
