//! Guesses which word was meant.

/// The word that is written most like `text`, if any is near enough to be a slip of the finger.
pub(crate) fn nearest<'w>(text: &str, words: &[&'w str]) -> Option<&'w str> {
    let plain = text.to_ascii_lowercase().replace('_', "-");
    let distance = |word: &str| strsim::osa_distance(&plain, word);
    let (least, word) = words.iter().map(|word| (distance(word), *word)).min()?;
    let longer = plain.chars().count().max(word.len());
    let near = least == 0 || least <= (longer / 3).clamp(1, 3) && least < longer / 2 + 1;
    (near && longer > 1).then_some(word)
}

/// The words in a row: `` `a`, `b` and `c` ``, with `and` as the conjunction.
pub(crate) fn listing(words: &[&str], conjunction: &str) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [] => "none".to_owned(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} {conjunction} {last}", first.join(", ")),
    }
}
