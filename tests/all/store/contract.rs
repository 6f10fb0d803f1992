//! The contract suite, run by the stores of this crate.
//! Refuses to add a promise: those stand in the suite.

use offshoot::{
    store::{MemoryStore, SqliteStore},
    testing::store_contract,
};

#[tokio::test]
async fn the_store_in_memory_keeps_the_contract() {
    store_contract(async || MemoryStore::new()).await;
}

#[tokio::test]
async fn the_store_in_a_file_keeps_the_contract() {
    let home = tempfile::tempdir().unwrap();
    let mut made = 0;
    let count = std::cell::RefCell::new(&mut made);
    store_contract(async || {
        let mut count = count.borrow_mut();
        **count += 1;
        SqliteStore::open(home.path().join(count.to_string())).unwrap()
    })
    .await;
}

#[tokio::test]
async fn a_store_behind_a_pointer_keeps_the_contract() {
    store_contract(async || std::sync::Arc::new(MemoryStore::new())).await;
}
