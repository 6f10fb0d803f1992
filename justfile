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

# The benchmarks against the floor
bench:
    .ci/bench

# Packages, binaries, building and the first request against the floor; takes long
size:
    .ci/size

# What CI runs
ci:
    bash .ci/run
