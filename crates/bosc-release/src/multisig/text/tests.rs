use super::*;
use serde_json::Value;

fn vectors() -> (String, Vec<String>) {
    let v: Value = serde_json::from_str(include_str!("../../../../../interop/vectors/pear.json")).unwrap();
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    (text(&v["request"]["z32"]), v["responses"].as_array().unwrap().iter().map(|r| text(&r["z32"])).collect())
}

fn gathered(arguments: &[&str], stdin: &str) -> Result<Vec<String>, CommandError> {
    let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
    gather(&arguments, &mut stdin.as_bytes())
}

#[test]
fn texts_come_from_arguments_files_and_standard_input() {
    let (request, responses) = vectors();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("req");
    std::fs::write(&file, format!("  {}\n{}\n", &request[..99], &request[99..])).unwrap();
    let path = file.to_str().unwrap();
    let both = responses.join("\n");
    let expected = [vec![request.clone()], responses.clone()].concat();
    assert_eq!(gathered(&[path, "-"], &both).unwrap(), expected);
    assert_eq!(gathered(&[&request, &responses[0], &responses[1]], "").unwrap(), expected);
    assert_eq!(gathered(&["-"], &format!("{request}\n\n{both}\r\n")).unwrap(), expected);
    assert_eq!(sort(&expected).unwrap(), (request.clone(), responses.clone()));
    let reordered = [responses[1].clone(), request.clone(), responses[0].clone()];
    assert_eq!(sort(&reordered).unwrap(), (request, vec![responses[1].clone(), responses[0].clone()]));
    assert!(gathered(&["-", "-"], "").is_err());
    assert!(gathered(&["no-such-file"], "").is_err());
}

#[test]
fn what_is_no_request_or_response_is_named() {
    let (request, responses) = vectors();
    let message = |texts: &[&str]| {
        let texts: Vec<String> = texts.iter().map(|t| (*t).to_owned()).collect();
        sort(&texts).unwrap_err().message().to_owned()
    };
    assert!(message(&["yyyy"]).starts_with("Invalid request: "));
    assert!(message(&[&request, "yyyy"]).starts_with("Invalid response: "));
    assert!(message(&[&request, &responses[0][..100]]).starts_with("Invalid response: "));
    assert!(message(&[&responses[0]]).starts_with("no request"));
    let mut other = Request::from_text(&request).unwrap().0;
    other.length += 1;
    assert!(message(&[&request, &other.to_text()]).starts_with("two different requests"));
    assert_eq!(super::request(&responses[0]).unwrap_err().code(), "ERR_INVALID_INPUT");
    assert!(response(&request).is_err());
}
