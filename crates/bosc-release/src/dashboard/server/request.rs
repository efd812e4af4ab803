//! A request's head, read within bounds, and the body of the login.

/// Longest head in bytes.
pub(super) const HEAD_MAX: usize = 8 << 10;
/// Most header lines.
const HEADERS: usize = 64;
/// Longest body in bytes.
pub(super) const BODY_MAX: usize = 1 << 10;

/// How a request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    Post,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) host: String,
    pub(super) origin: Option<String>,
    pub(super) cookies: Vec<String>,
    pub(super) body: Vec<u8>,
}

/// What came so far.
#[derive(Debug)]
pub(super) enum Parsed {
    Whole(Box<Asked>),
    /// More has to come.
    Partial,
    /// The status that refuses it.
    Refused(&'static str),
}

/// Reads what came so far.
pub(super) fn parse(bytes: &[u8]) -> Parsed {
    const BAD: Parsed = Parsed::Refused("400 Bad Request");
    let mut lines = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut lines);
    let head = match request.parse(bytes) {
        Ok(httparse::Status::Complete(n)) if n <= HEAD_MAX => n,
        Ok(httparse::Status::Partial) if bytes.len() <= HEAD_MAX => return Parsed::Partial,
        Ok(_) | Err(httparse::Error::TooManyHeaders) => {
            return Parsed::Refused("431 Request Header Fields Too Large");
        }
        Err(_) => return BAD,
    };
    let method = match request.method {
        Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        Some("POST") => Method::Post,
        _ => return Parsed::Refused("405 Method Not Allowed"),
    };
    let target = request.path.unwrap_or_default();
    // `GET http://elsewhere/`, which is for proxies.
    if !target.starts_with('/') {
        return BAD;
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let all = |name: &str| {
        let lines = request.headers.iter().filter(move |h| h.name.eq_ignore_ascii_case(name));
        lines.map(|h| String::from_utf8_lossy(h.value).trim().to_owned()).collect::<Vec<_>>()
    };
    // Which of two would be meant?
    let (Ok(host), Ok(origin), Ok(length)) =
        (single(all("host")), single(all("origin")), single(all("content-length")))
    else {
        return BAD;
    };
    if !all("transfer-encoding").is_empty() {
        return BAD;
    }
    let length = match length.map(|text| text.parse::<usize>()) {
        None => 0,
        Some(Ok(n)) if n <= BODY_MAX => n,
        Some(Ok(_)) => return Parsed::Refused("413 Content Too Large"),
        Some(Err(_)) => return BAD,
    };
    let Some(body) = bytes.get(head..head.saturating_add(length)) else { return Parsed::Partial };
    let cookies = all("cookie");
    Parsed::Whole(Box::new(Asked {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        host: host.unwrap_or_default(),
        origin,
        cookies: cookies.iter().flat_map(|c| c.split(';')).map(|c| c.trim().to_owned()).collect(),
        body: body.to_vec(),
    }))
}

/// At most one.
fn single(mut all: Vec<String>) -> Result<Option<String>, ()> {
    match all.len() {
        0 => Ok(None),
        1 => Ok(all.pop()),
        _ => Err(()),
    }
}

impl Asked {
    /// A cookie by its name.
    pub(super) fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.iter().filter_map(|c| c.split_once('=')).find(|(n, _)| *n == name).map(|(_, v)| v)
    }
}

/// The value of a field of a form or a query.
pub(super) fn field(text: &[u8], name: &str) -> Option<Vec<u8>> {
    let prefix = [name.as_bytes(), b"="].concat();
    text.split(|b| *b == b'&').find_map(|part| part.strip_prefix(prefix.as_slice())).map(decoded)
}

/// `%41` and `+` as in forms; what is none stays.
fn decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        let hex = |n: usize| rest.get(n).and_then(|b| char::from(*b).to_digit(16));
        match (first, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or_default());
                rest = rest.get(2..).unwrap_or_default();
            }
            (b'+', ..) => out.push(b' '),
            (other, ..) => out.push(*other),
        }
    }
    out
}

/// A text without anything that ends a line.
pub(super) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_decoded() {
        assert_eq!(field(b"a=1&password=a%20b%2Bc+d%", "password").unwrap(), b"a b+c d%");
        assert_eq!(field(b"xpassword=1", "password"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
            let _ = parse(&bytes);
            let mut request = b"GET /?token=".to_vec();
            request.extend(&bytes);
            request.extend(b" HTTP/1.1\r\nHost: x\r\n\r\n");
            let _ = parse(&request);
        }
    }
}
