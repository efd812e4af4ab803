use super::*;

const A: &str = "pear://5db4ysm3yq3e47ehpafznb5zmahe7tpd37ujzze6x5nbznhxp33y";
const B: &str = "pear://ipn81s3nung689qb91wyy74y8pz1iecakz5uzp3td1x7cqjz9ogy";

#[test]
fn lines_are_read_in_order_and_changed_in_place() {
    let text = format!(
        "# mine\n[line.rc] # candidates\nkind = \"stage\"\nlink = \"{A}\"\n\n[other]\nx = 1\n\n\
         [line.production]\nkind = \"multisig\" # two of three\nsource = \"rc\"\nseeds = 3\n"
    );
    let mut file = LineFile::parse(&text).unwrap();
    assert_eq!(file.text(), text);
    assert_eq!(file.lines().iter().map(|l| l.name.as_str()).collect::<Vec<_>>(), ["rc", "production"]);
    let mut production = file.get("production").unwrap().clone();
    assert_eq!(production.seeds, Seeds::Count(3));
    production.link = Some(B.into());
    file.put(&production).unwrap();
    assert!(file.text().contains("kind = \"multisig\" # two of three\n"), "{}", file.text());
    assert!(
        file.text().contains("# mine\n[line.rc] # candidates\n") && file.text().contains("[other]\nx = 1")
    );
    assert_eq!(file.of_link(B).unwrap().name, "production");
    assert_eq!(file.remove("rc").unwrap_err().code(), "ERR_INVALID_CONFIG");
    file.remove("production").unwrap();
    file.remove("rc").unwrap();
    assert!(file.lines().is_empty() && file.text().contains("[other]"));
}

#[test]
fn a_new_file_takes_lines_of_any_name() {
    let mut file = LineFile::new().unwrap();
    for (name, source) in [("nightly", None), ("beta-2", Some("nightly"))] {
        let line = Declared { name: name.into(), source: source.map(str::to_owned), ..Declared::default() };
        file.put(&line).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    assert_eq!(LineFile::open(&path).unwrap_err().code(), "ERR_NOT_FOUND");
    file.write(&path).unwrap();
    let back = LineFile::open(&path).unwrap();
    assert_eq!(back.lines(), file.lines());
    assert_eq!(back.get("x").unwrap_err().hint_text(), "there are: nightly, beta-2");
    let bad = Declared { name: "a b".into(), ..Declared::default() };
    assert!(file.put(&bad).is_err());
}

#[test]
fn what_makes_no_sense_is_refused() {
    for bad in [
        "line = 1",
        "[line.a]\n",
        "[line.a]\nkind = \"x\"",
        "[line.a]\nkind = \"stage\"\nlink = \"http://x\"",
        "[line.a]\nkind = \"stage\"\nsource = \"b\"",
        "[line.a]\nkind = \"stage\"\nsource = \"a\"",
        "[line.a]\nkind = \"stage\"\nsource = \"b\"\n[line.b]\nkind = \"stage\"\nsource = \"a\"",
        "[line.a]\nkind = \"stage\"\nlinks = \"b\"",
        "[line.a]\nkind = \"stage\"\nseeds = -1",
        "[line.a]\nkind = \"stage\"\nseeds = [\"x\"]",
        "[line.a]\nkind = \"stage\"\nseeds = [1]",
        "[line.a]\nkind = \"stage\"\nproduction = \"b\"\n[line.b]\nkind = \"stage\"",
        "[line.\"a b\"]\nkind = \"stage\"",
        "[line.a",
    ] {
        let error = LineFile::parse(bad).map(|_| ()).unwrap_err();
        assert!(["ERR_INVALID_CONFIG", "ERR_INVALID_INPUT"].contains(&error.code()), "{bad}");
    }
    let twice = format!("[line.a]\nkind=\"stage\"\nlink=\"{A}\"\n[line.b]\nkind=\"stage\"\nlink=\"{A}\"");
    assert!(LineFile::parse(&twice).is_err());
    for link in [A.replace("pear://", "pear://0.7."), format!("{A}/sub")] {
        let error =
            LineFile::parse(&format!("[line.a]\nkind=\"stage\"\nlink=\"{link}\"")).map(|_| ()).unwrap_err();
        assert!(error.message().contains(A) || error.to_string().contains(A), "{link}: {error}");
    }
}

#[test]
fn a_provision_line_starts_with_the_line_that_comes_from_it() {
    let text = "[line.rc]\nkind='stage'\n[line.pre]\nkind='provision'\nsource='rc'\n\
                [line.prod]\nkind='multisig'\nsource='pre'\n[line.lts]\nkind='multisig'\nsource='pre'";
    let one = text.replacen("\n[line.lts]\nkind='multisig'\nsource='pre'", "", 1);
    let file = LineFile::parse(&one).unwrap();
    assert_eq!(file.production_of(file.get("pre").unwrap()).unwrap().unwrap().name, "prod");
    let file = LineFile::parse(text).unwrap();
    let unsure = file.production_of(file.get("pre").unwrap()).unwrap_err();
    assert!(unsure.message().contains("prod") && unsure.message().contains("lts"), "{unsure}");
    let named = text.replace("source='rc'", "source='rc'\nproduction='lts'");
    let file = LineFile::parse(&named).unwrap();
    assert_eq!(file.production_of(file.get("pre").unwrap()).unwrap().unwrap().name, "lts");
}

#[test]
fn seeds_are_a_number_or_keys() {
    assert_eq!(Seeds::parse("3").unwrap(), Seeds::Count(3));
    let key = A.trim_start_matches("pear://");
    assert_eq!(Seeds::parse(&format!("{key}, {key}")).unwrap().wanted(), 2);
    assert!(Seeds::parse("x").is_err());
}

#[test]
fn lines_that_end_as_on_windows_go_on_to() {
    let text = format!("# mine\r\n[line.rc]\r\nkind = \"stage\"\r\nlink = \"{A}\"\r\n");
    let mut file = LineFile::parse(&text).unwrap();
    assert_eq!(file.text(), text);
    file.put(&Declared { name: "next".into(), source: Some("rc".into()), ..Declared::default() }).unwrap();
    assert!(file.text().starts_with(&text) && file.text().contains("[line.next]\r\n"), "{:?}", file.text());
    assert_eq!(file.text().matches('\n').count(), file.text().matches("\r\n").count());
    file.remove("next").unwrap();
    assert_eq!(file.text().matches('\n').count(), file.text().matches("\r\n").count());
}
