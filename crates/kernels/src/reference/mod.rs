//! The naive truth of every operator.
