//! The flags of `relay`.

use clap::Args;

/// `bosc relay`
#[derive(Debug, Args)]
pub(crate) struct Relay {
    /// Let everyone use it
    #[arg(long, conflicts_with = "allow")]
    pub(crate) public: bool,
    /// Let the peer with this public key use it; may be given more than once
    #[arg(long, value_name = "KEY")]
    pub(crate) allow: Vec<String>,
    /// UDP port; 0 takes any free one
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
    /// Most peers connected to it [default: 256, of these 16 from one host]
    #[arg(long, value_name = "N")]
    pub(crate) max_clients: Option<usize>,
    /// Most pairs of peers at once [default: 128]
    #[arg(long, value_name = "N")]
    pub(crate) max_pairs: Option<usize>,
    /// Most pairs of one peer at once [default: 16]
    #[arg(long, value_name = "N")]
    pub(crate) max_pairs_per_client: Option<usize>,
    /// Most bytes a second between two peers, such as 500K or 8M; 0: any [default: 8M]
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub(crate) max_rate: Option<u64>,
    /// Most bytes a second of all pairs together; 0: any [default: 64M]
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub(crate) max_total_rate: Option<u64>,
    /// Bytes after which a pair ends; 0: any [default: 32G]
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub(crate) max_bytes: Option<u64>,
    /// Milliseconds between `stats` lines [default: 10000]
    #[arg(long, value_name = "MS")]
    pub(crate) stats_interval: Option<u64>,
}

/// Bytes: a number, or one of K, M, G (1024 each) behind it.
fn size(text: &str) -> Result<u64, String> {
    let (number, shift) = match text.strip_suffix(['K', 'k', 'M', 'm', 'G', 'g']) {
        None => (text, 0),
        Some(number) => match text.as_bytes().last() {
            Some(b'K' | b'k') => (number, 10),
            Some(b'M' | b'm') => (number, 20),
            _ => (number, 30),
        },
    };
    let bytes = number.parse::<u64>().ok().and_then(|n| n.checked_mul(1 << shift));
    bytes.ok_or_else(|| "not a number of bytes such as 65536, 500K, 8M or 2G".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_read_and_nonsense_is_refused() {
        assert_eq!(size("0").unwrap(), 0);
        assert_eq!(size("70000").unwrap(), 70_000);
        assert_eq!(size("500K").unwrap(), 500 << 10);
        assert_eq!(size("8m").unwrap(), 8 << 20);
        assert_eq!(size("2G").unwrap(), 2 << 30);
        for bad in ["", "K", "-1", "1.5M", "8 M", "8MB", "99999999999G"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
