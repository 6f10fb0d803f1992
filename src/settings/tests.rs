//! t
//! Refuses t.
