//! steadfast-reports
