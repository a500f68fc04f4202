//! "Did you mean": the known name that was probably meant by an unknown one.

/// The name of `known` that is a few slips of the pen away, if any is: a quarter of its letters and one more.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().count();
    if length > 64 {
        return None;
    }
    known
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(distance, _)| *distance <= 1 + length / 4)
        .min()
        .map(|(_, known)| known)
}
