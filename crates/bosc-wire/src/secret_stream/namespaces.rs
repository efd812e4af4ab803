//! What keys are made for.

use bosc_format::crypto::namespace;
use std::sync::LazyLock;

/// The namespaces of npm `@hyperswarm/secret-stream`: initiator, responder, unordered.
pub(super) static NAMESPACES: LazyLock<[[u8; 32]; 3]> =
    LazyLock::new(|| [0, 1, 2].map(|n| namespace("hyperswarm/secret-stream", n)));
