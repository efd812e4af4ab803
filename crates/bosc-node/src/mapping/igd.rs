//! UPnP's Internet Gateway Device, 1 and 2: search (SSDP), description, and the commands of `WANIPConnection` and `WANPPPConnection`.
//!
//! Of XML only the texts of a few elements are read, from at most [`super::http::MAX_BODY`] bytes; nothing in it is followed or expanded.

use super::gateway::Gateway;
use super::http::{Ask, request};
use super::kinds::{MappedBy, Mapping, Service, Undo};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

const SSDP: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 255, 255, 250), 1900);
/// What routers answer to.
const SEARCHED: [&str; 2] = [
    "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
    "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
];
/// How long answers to a search are waited for, and how often it is sent.
const WAIT: Duration = Duration::from_millis(1000);
const SEARCHES: usize = 2;
/// Answers that are looked at, and devices that are asked for a description.
const MAX_ANSWERS: usize = 16;
const MAX_DEVICES: usize = 2;
/// Services that map ports, the newest first.
const SERVICES: [&str; 3] = [
    "urn:schemas-upnp-org:service:WANIPConnection:2",
    "urn:schemas-upnp-org:service:WANIPConnection:1",
    "urn:schemas-upnp-org:service:WANPPPConnection:1",
];
/// The port is somebody else's.
const CONFLICT: &str = "718";
/// The router only knows mappings that last for ever; ours is taken back at the end.
const ONLY_PERMANENT: &str = "725";

/// Finds a router's service and asks it.
pub(super) fn map(
    gateway: &Gateway,
    port: u16,
    wanted: u16,
    lease: Duration,
    by: Instant,
) -> Option<Mapping> {
    let mut tried = Vec::new();
    for (from, location) in search(gateway, by) {
        let Some((at, path)) = location_of(&location, from, gateway) else { continue };
        if tried.contains(&at) || tried.len() >= MAX_DEVICES {
            continue;
        }
        tried.push(at);
        let Some((200, description)) = request(at, path, &Ask::Get, by) else { continue };
        let Some((kind, path)) = service_in(&description, at) else { continue };
        let service = Service { at, path: path.to_owned(), kind, local: gateway.local };
        if let Some(mapping) = service.map(port, wanted, lease, by) {
            return Some(mapping);
        }
    }
    None
}

/// Who answers the search, and where its description is.
fn search(gateway: &Gateway, by: Instant) -> Vec<(Ipv4Addr, String)> {
    let mut found: Vec<(Ipv4Addr, String)> = Vec::new();
    let Ok(socket) = UdpSocket::bind((gateway.local, 0)) else { return found };
    let _ = socket2::SockRef::from(&socket).set_multicast_if_v4(&gateway.local);
    let _ = socket.set_multicast_ttl_v4(2);
    let mut bytes = [0; 2048];
    for _ in 0..SEARCHES {
        for target in SEARCHED {
            let text = format!(
                "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: {target}\r\n\r\n"
            );
            // Some routers answer only those who ask them alone.
            for to in [SSDP, SocketAddrV4::new(gateway.router, SSDP.port())] {
                let _ = socket.send_to(text.as_bytes(), to);
            }
        }
        let until = (Instant::now() + WAIT).min(by);
        while found.len() < MAX_ANSWERS {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || socket.set_read_timeout(Some(left)).is_err() {
                break;
            }
            let Ok((len, SocketAddr::V4(from))) = socket.recv_from(&mut bytes) else { continue };
            let answer = bytes.get(..len).and_then(location_in);
            if let Some(location) = answer.map(|l| (*from.ip(), l)).filter(|l| !found.contains(l)) {
                found.push(location);
                // The router itself needs no rival.
                if *from.ip() == gateway.router {
                    return found;
                }
            }
        }
        if !found.is_empty() {
            break;
        }
    }
    found
}

/// The header LOCATION of an answer to a search.
fn location_in(datagram: &[u8]) -> Option<String> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    response.parse(datagram).ok()?;
    if response.code != Some(200) {
        return None;
    }
    let of =
        |name: &str| response.headers.iter().find(|h| h.name.eq_ignore_ascii_case(name)).map(|h| h.value);
    let about = std::str::from_utf8(of("st")?).ok()?;
    if !about.contains("InternetGatewayDevice") {
        return None;
    }
    Some(std::str::from_utf8(of("location")?).ok()?.trim().to_owned())
}

/// Address and path of a description. Only where the answer came from, and only a device of our network.
fn location_of<'a>(location: &'a str, from: Ipv4Addr, gateway: &Gateway) -> Option<(SocketAddrV4, &'a str)> {
    let (at, path) = split_url(location)?;
    let near = from == gateway.router || from.octets()[..3] == gateway.local.octets()[..3];
    (*at.ip() == from && near && from != gateway.local).then_some((at, path))
}

/// Host, an address, and path of an `http://` address.
fn split_url(url: &str) -> Option<(SocketAddrV4, &str)> {
    let rest = url.strip_prefix("http://")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = authority.split_once(':').unwrap_or((authority, "80"));
    let at = SocketAddrV4::new(host.parse().ok()?, port.parse().ok().filter(|p| *p != 0)?);
    Some((at, if path.is_empty() { "/" } else { path }))
}

/// The service of a description that maps ports, and the path to command it. One that is elsewhere does not count.
fn service_in(description: &str, at: SocketAddrV4) -> Option<(&'static str, &str)> {
    let mut best: Option<(usize, &str)> = None;
    let mut rest = description;
    while let Some((service, after)) = element(rest, "service") {
        rest = after;
        let Some((kind, _)) = element(service, "serviceType") else { continue };
        let Some(rank) = SERVICES.iter().position(|k| *k == kind.trim()) else { continue };
        let Some(path) = element(service, "controlURL").and_then(|(url, _)| path_at(url.trim(), at)) else {
            continue;
        };
        if best.is_none_or(|(other, _)| rank < other) {
            best = Some((rank, path));
        }
    }
    best.and_then(|(rank, path)| Some((*SERVICES.get(rank)?, path)))
}

fn path_at(url: &str, at: SocketAddrV4) -> Option<&str> {
    if url.starts_with('/') {
        return Some(url);
    }
    split_url(url).filter(|(to, _)| *to == at).map(|(_, path)| path)
}

/// The content of the first element of this name, with any prefix, and what follows it.
fn element<'a>(xml: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let mut from = 0;
    loop {
        let open = from + xml.get(from..)?.find('<')? + 1;
        let end = open + xml.get(open..)?.find('>')?;
        let tag = xml.get(open..end)?;
        from = end + 1;
        let full = tag.split_ascii_whitespace().next().unwrap_or_default();
        if full.rsplit(':').next() != Some(name) || tag.starts_with('/') || tag.ends_with('/') {
            continue;
        }
        let content = xml.get(from..)?;
        let close = format!("</{full}>");
        let len = content.find(&close)?;
        return Some((content.get(..len)?, content.get(len + close.len()..)?));
    }
}

impl Service {
    /// Has a port mapped: `wanted`, or another one where that is taken.
    pub(super) fn map(&self, port: u16, wanted: u16, lease: Duration, by: Instant) -> Option<Mapping> {
        let ip = self.command("GetExternalIPAddress", "", by).ok()?;
        let ip: Ipv4Addr = element(&ip, "NewExternalIPAddress")?.0.trim().parse().ok()?;
        let mut seconds = lease.as_secs();
        let mut outside = wanted;
        for attempt in 1..=4u16 {
            let body = format!(
                "<NewRemoteHost></NewRemoteHost><NewExternalPort>{outside}</NewExternalPort><NewProtocol>UDP</NewProtocol>\
                 <NewInternalPort>{port}</NewInternalPort><NewInternalClient>{}</NewInternalClient><NewEnabled>1</NewEnabled>\
                 <NewPortMappingDescription>bosc</NewPortMappingDescription><NewLeaseDuration>{seconds}</NewLeaseDuration>",
                self.local
            );
            match self.command("AddPortMapping", &body, by) {
                Ok(_) => {
                    let external = SocketAddrV4::new(ip, outside);
                    let undo = Undo::Upnp(self.clone());
                    return Some(Mapping { external, by: MappedBy::Upnp, lease, undo });
                }
                Err(Some(code)) if code == ONLY_PERMANENT && seconds > 0 => seconds = 0,
                Err(Some(code)) if code == CONFLICT => outside = wanted.wrapping_add(attempt * 997).max(1024),
                Err(_) => return None,
            }
        }
        None
    }

    pub(super) fn unmap(&self, outside: u16, by: Instant) {
        let body = format!(
            "<NewRemoteHost></NewRemoteHost><NewExternalPort>{outside}</NewExternalPort><NewProtocol>UDP</NewProtocol>"
        );
        let _ = self.command("DeletePortMapping", &body, by);
    }

    /// The answer; or the number of UPnP's error, if it names one.
    fn command(&self, name: &str, arguments: &str, by: Instant) -> Result<String, Option<String>> {
        let kind = self.kind;
        let body = format!(
            "<?xml version=\"1.0\"?>\r\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body><u:{name} xmlns:u=\"{kind}\">{arguments}\
             </u:{name}></s:Body></s:Envelope>\r\n"
        );
        let action = format!("{kind}#{name}");
        match request(self.at, &self.path, &Ask::Post { action: &action, body: &body }, by) {
            Some((200, answer)) => Ok(answer),
            Some((_, answer)) => Err(element(&answer, "errorCode").map(|(code, _)| code.trim().to_owned())),
            None => Err(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 168, 1, 1), 5000);
    const GATEWAY: Gateway = Gateway { router: *AT.ip(), local: Ipv4Addr::new(192, 168, 1, 2) };

    #[test]
    fn descriptions_are_read_where_the_answer_came_from_and_nowhere_else() {
        let at = |url, from: [u8; 4]| {
            location_of(url, from.into(), &GATEWAY).map(|(at, path)| (at, path.to_owned()))
        };
        assert_eq!(at("http://192.168.1.1:5000/root.xml", [192, 168, 1, 1]), Some((AT, "/root.xml".into())));
        assert_eq!(at("http://192.168.1.1:5000/root.xml", [192, 168, 1, 9]), None, "another host");
        assert_eq!(at("http://10.0.0.1:5000/root.xml", [10, 0, 0, 1]), None, "another network");
        assert_eq!(at("http://5.9.0.7/root.xml", [192, 168, 1, 1]), None);
        assert_eq!(at("http://192.168.1.2/root.xml", [192, 168, 1, 2]), None, "we ourselves");
        for url in
            ["https://192.168.1.1/", "http://router/", "http://192.168.1.1:0/", "http://a@192.168.1.1/", ""]
        {
            assert_eq!(at(url, [192, 168, 1, 1]), None, "{url}");
        }
        assert_eq!(split_url("http://192.168.1.1"), Some((SocketAddrV4::new(*AT.ip(), 80), "/")));
    }

    #[test]
    fn only_answers_of_routers_count() {
        let answer = |st: &str| {
            format!("HTTP/1.1 200 OK\r\nST: {st}\r\nLocation: http://192.168.1.1:5000/root.xml \r\n\r\n")
        };
        let location = Some("http://192.168.1.1:5000/root.xml".to_owned());
        assert_eq!(location_in(answer(SEARCHED[0]).as_bytes()), location);
        assert_eq!(location_in(answer("upnp:rootdevice").as_bytes()), None);
        assert_eq!(location_in(b"NOTIFY * HTTP/1.1\r\n\r\n"), None);
        assert_eq!(location_in(&[0xff; 2048]), None);
    }

    fn service(kind: &str, url: &str) -> String {
        format!("<service>\n<serviceType>{kind}</serviceType><controlURL> {url} </controlURL></service>")
    }

    #[test]
    fn the_newest_service_is_taken_and_none_that_is_elsewhere() {
        let [two, one, ppp] = SERVICES;
        let all =
            [service("urn:x:service:Layer3Forwarding:1", "/l3"), service(ppp, "/ppp"), service(one, "/one")];
        let xml = format!("<root xmlns=\"a\"><device>{}</device></root>", all.concat());
        assert_eq!(service_in(&xml, AT), Some((one, "/one")));
        let both = [service(one, "/one"), service(two, "http://192.168.1.1:5000/two")].concat();
        assert_eq!(service_in(&both, AT), Some((two, "/two")));
        for url in ["http://192.168.1.1:80/x", "http://5.9.0.7:5000/x", "x", ""] {
            assert_eq!(service_in(&service(two, url), AT), None, "{url}");
        }
    }

    #[test]
    fn elements_are_found_with_any_prefix_and_nothing_else_is_taken_for_one() {
        assert_eq!(element("<a><u:b c=\"d\">e</u:b>f</a>", "b"), Some(("e", "f</a>")));
        assert_eq!(element("<b/><bb>x</bb><b>y</b>", "b"), Some(("y", "")));
        for text in ["", "<", "<b", "<b>", "<b>x</c>", "</b>x</b>", "<!-- <b> -->"] {
            assert_eq!(element(text, "b"), None, "{text}");
        }
        // As long as a description may be, and nothing in it ends.
        let long = "<b><".repeat(super::super::http::MAX_BODY / 4);
        assert_eq!(element(&long, "service"), None);
    }
}
