use super::ask::{Asker, LOOK, hand_over};
use super::*;
use crate::secrets::KeysInUse;
use crate::seed::event::SeedEvent;
use crate::touch::Touch;
use crate::touch::event::Touched;

fn named(name: &str) -> Output {
    Touched { key: String::new(), link: String::new(), name: name.into(), shared: false }.into()
}

struct Echo;

impl Executor for Echo {
    fn execute(&self, request: &Request, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
        match request {
            Request::Touch(t) if t.vanity.as_deref() == Some("wait") => {
                sink.tell(SeedEvent::Announced);
                while !stop.is_stopped() {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Ok(named("stopped"))
            }
            Request::Touch(_) => {
                sink.tell(SeedEvent::PeerAdd("one".into()));
                Ok(named("done"))
            }
            _ => Err(CommandError::input("no").hint("try touch")),
        }
    }
}

#[test]
fn a_command_is_handed_over_and_its_events_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let service = OwnerService::start(dir.path(), Arc::new(Echo)).unwrap();
    let mut tags = Vec::new();
    let mut sink = |event: Event| tags.push(event.parts().0);
    let out =
        hand_over(dir.path(), &Request::Touch(Touch::default()), &Caller::default(), &mut sink, &Stop::new())
            .unwrap()
            .unwrap();
    assert_eq!(out, named("done"));
    assert_eq!(tags, ["peer-add"]);
    let err = hand_over(
        dir.path(),
        &Request::Info(crate::info::Info::default()),
        &Caller::default(),
        &mut |_: Event| {},
        &Stop::new(),
    )
    .unwrap_err();
    assert_eq!((err.kind(), err.hint_text()), (ErrorKind::Input, "try touch"));
    drop(service);
    let gone = hand_over(
        dir.path(),
        &Request::Touch(Touch::default()),
        &Caller::default(),
        &mut |_: Event| {},
        &Stop::new(),
    );
    assert!(gone.unwrap().is_none());
}

/// Says whether a key is in use while it runs a command, and takes commands of those alone who have its primary key.
struct Knows(Vec<u8>, [u8; 32]);

impl Executor for Knows {
    fn execute(&self, _: &Request, _: &mut dyn Sink, _: &Stop) -> Outcome {
        let known = !KeysInUse::of_environment().is_disjoint(&KeysInUse::default().with(&self.0));
        Ok(named(if known { "known" } else { "unknown" }))
    }

    fn admit(&self, caller: &Caller) -> Result<(), CommandError> {
        caller.check_primary_key(&self.1)
    }
}

#[test]
fn the_keys_of_the_one_who_asks_are_in_use_for_the_command() {
    let (dir, key) = (tempfile::tempdir().unwrap(), (0..32).map(|i| i * 3 + 1).collect::<Vec<u8>>());
    let _service = OwnerService::start(dir.path(), Arc::new(Knows(key.clone(), [9; 32]))).unwrap();
    let ask = |caller: &Caller| {
        let touch = Request::Touch(Touch::default());
        hand_over(dir.path(), &touch, caller, &mut |_: Event| {}, &Stop::new()).map(Option::unwrap)
    };
    assert_eq!(ask(&Caller::here(None)).unwrap(), named("unknown"));
    let held = KeysInUse::default().with(&key).hold();
    assert_eq!(ask(&Caller::here(None)).unwrap(), named("known"));
    drop(held);
    assert_eq!(ask(&Caller::here(None)).unwrap(), named("unknown"), "of that command alone");
}

#[test]
fn who_gives_another_primary_key_is_refused() {
    let (dir, own) = (tempfile::tempdir().unwrap(), [9; 32]);
    let _service = OwnerService::start(dir.path(), Arc::new(Knows(vec![1; 32], own))).unwrap();
    let ask = |key: Option<&[u8; 32]>| {
        let touch = Request::Touch(Touch::default());
        hand_over(dir.path(), &touch, &Caller::here(key), &mut |_: Event| {}, &Stop::new())
    };
    assert_eq!(ask(Some(&own)).unwrap(), Some(named("unknown")));
    let e = ask(Some(&[8; 32])).unwrap_err();
    assert!(e.message().contains("is not the primary key of this store"), "{e}");
}

fn port_of(service: &OwnerService) -> u16 {
    let file: OwnerFile = serde_json::from_slice(&std::fs::read(&service.path).unwrap()).unwrap();
    file.port
}

#[test]
fn a_stranger_without_the_token_gets_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let service = OwnerService::start(dir.path(), Arc::new(Echo)).unwrap();
    let mut s = TcpStream::connect(("127.0.0.1", port_of(&service))).unwrap();
    s.write_all(b"{\"token\":\"guess\",\"request\":{\"command\":\"touch\",\"vanity\":null}}\n").unwrap();
    let mut all = Vec::new();
    s.read_to_end(&mut all).unwrap();
    assert!(all.is_empty());
}

#[test]
fn what_runs_commands_is_let_go_before_the_service_has_ended() {
    let executor: Arc<dyn Executor> = Arc::new(Echo);
    // Whoever connects and says nothing holds no more of it than a listener does.
    let dir = tempfile::tempdir().unwrap();
    let service = OwnerService::start(dir.path(), Arc::clone(&executor)).unwrap();
    let stranger = TcpStream::connect(("127.0.0.1", port_of(&service))).unwrap();
    let begun = Instant::now();
    while service.shared.strangers.lock().unwrap().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60), "nobody was let in");
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(service);
    assert_eq!(
        Arc::strong_count(&executor),
        1,
        "a store that somebody holds at the end of a process is not closed"
    );
    drop(stranger);
    for _ in 0..100 {
        drop(OwnerService::start(dir.path(), Arc::clone(&executor)).unwrap());
        assert_eq!(Arc::strong_count(&executor), 1);
    }
}

/// An owner that was stopped: the system takes connections for it, nobody reads them.
fn stopped_owner(dir: &Path) -> TcpListener {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let file = OwnerFile { port, token: "t".into(), pid: 1, protocol: PROTOCOL };
    write_private(&dir.join(FILE_NAME), &serde_json::to_vec(&file).unwrap()).unwrap();
    listener
}

#[test]
fn an_owner_that_is_stopped_holds_nobody_up() {
    let dir = tempfile::tempdir().unwrap();
    let listener = stopped_owner(dir.path());
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let silence = 3 * LOOK;
    let mut asker = Asker { stream: &stream, stop: &Stop::new(), pid: 1, silence, begun: false };
    let e = asker.run(b"{}\n", &mut |_: Event| {}).unwrap_err();
    assert_eq!((e.code(), e.kind()), ("ERR_OWNER_SILENT", ErrorKind::Store));
    assert!(e.hint_text().contains("not begun"));
    let stop = Stop::new();
    stop.stop();
    let e = hand_over(
        dir.path(),
        &Request::Touch(Touch::default()),
        &Caller::default(),
        &mut |_: Event| {},
        &stop,
    );
    assert_eq!(e.unwrap_err().kind(), ErrorKind::Interrupted);
}

#[test]
fn the_timeout_of_a_command_holds_for_the_hand_over() {
    let dir = tempfile::tempdir().unwrap();
    let _listener = stopped_owner(dir.path());
    let info = |timeout_ms| {
        Request::Info(crate::info::Info {
            link: "pear://x".into(),
            timeout_ms,
            ..crate::info::Info::default()
        })
    };
    let silence = ask::silence;
    assert_eq!(silence(&info(3_000)), Duration::from_secs(3));
    assert!(silence(&info(1)) < silence(&info(3_000)), "a busy machine gets a moment");
    assert_eq!(
        silence(&info(600_000)),
        silence(&Request::Touch(Touch::default())),
        "it has a bound of its own"
    );
    let e =
        hand_over(dir.path(), &info(1), &Caller::default(), &mut |_: Event| {}, &Stop::new()).unwrap_err();
    assert_eq!(e.code(), "ERR_OWNER_SILENT");
}

struct Counting(AtomicUsize);

impl Executor for Counting {
    fn execute(&self, _: &Request, _: &mut dyn Sink, _: &Stop) -> Outcome {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(Output::Nothing)
    }
}

#[test]
fn what_nobody_waits_for_is_not_begun() {
    let dir = tempfile::tempdir().unwrap();
    let counting = Arc::new(Counting(AtomicUsize::new(0)));
    let service = OwnerService::start(dir.path(), Arc::clone(&counting) as _).unwrap();
    let file: OwnerFile = serde_json::from_slice(&std::fs::read(&service.path).unwrap()).unwrap();
    let ask = serde_json::to_vec(&Ask {
        token: file.token,
        request: Request::Touch(Touch::default()),
        caller: Caller::default(),
    });
    let ask = [ask.unwrap(), b"\n".to_vec()].concat();
    let mut gone = TcpStream::connect(("127.0.0.1", file.port)).unwrap();
    gone.write_all(&ask).unwrap();
    gone.shutdown(Shutdown::Write).unwrap();
    let mut said = String::new();
    gone.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("{\"taken\":"), "{said}");
    assert_eq!(counting.0.load(Ordering::SeqCst), 0);
    let run = hand_over(
        dir.path(),
        &Request::Touch(Touch::default()),
        &Caller::default(),
        &mut |_: Event| {},
        &Stop::new(),
    );
    assert_eq!((run.unwrap(), counting.0.load(Ordering::SeqCst)), (Some(Output::Nothing), 1));
}

#[test]
fn strangers_keep_no_command_out() {
    let dir = tempfile::tempdir().unwrap();
    let _service = OwnerService::start(dir.path(), Arc::new(Echo)).unwrap();
    let file: OwnerFile =
        serde_json::from_slice(&std::fs::read(dir.path().join(FILE_NAME)).unwrap()).unwrap();
    let strangers: Vec<TcpStream> = (0..3 * CONNECTIONS_MAX)
        .map(|_| {
            let mut s = TcpStream::connect(("127.0.0.1", file.port)).unwrap();
            s.write_all(b"{\"token\":").unwrap();
            s
        })
        .collect();
    let out = hand_over(
        dir.path(),
        &Request::Touch(Touch::default()),
        &Caller::default(),
        &mut |_: Event| {},
        &Stop::new(),
    );
    assert_eq!(out.unwrap(), Some(named("done")));
    drop(strangers);
}

#[test]
fn a_client_that_stops_stops_its_command() {
    let dir = tempfile::tempdir().unwrap();
    let _service = OwnerService::start(dir.path(), Arc::new(Echo)).unwrap();
    let stop = Stop::new();
    let later = stop.clone();
    let mut sink = move |_: Event| later.stop();
    let out = hand_over(
        dir.path(),
        &Request::Touch(Touch { vanity: Some("wait".into()), ..Touch::default() }),
        &Caller::default(),
        &mut sink,
        &stop,
    );
    assert_eq!(out.unwrap(), Some(named("stopped")));
}
