//! Paths in commands that people are told to type.

/// A text as one word of a shell's command line.
pub fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:@%,=~".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    match cfg!(windows) {
        true => format!("\"{text}\""),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_one_word() {
        for text in ["", "a b", "it's", "$(x)`y`", "a\"b", "ü", "a\nb", "--x", "/plain/path-1.2"] {
            let line = format!("printf %s {}", shell_word(text));
            let out = std::process::Command::new("sh").arg("-c").arg(line).output().unwrap();
            assert_eq!(String::from_utf8(out.stdout).unwrap(), text);
        }
        assert_eq!(shell_word("/plain/path-1.2"), "/plain/path-1.2");
    }
}
