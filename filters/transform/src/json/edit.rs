//! Changes at the place that a pointer names. Where keys stand there twice, all of them are meant.

use std::rc::Rc;

use super::pointer::index;
use super::{Array, Element, Member, Object, Pointer, Text, Value, encode};
use crate::failure::Failure;
use crate::fuel::Fuel;

type Change<'c, 'a> = &'c mut dyn FnMut(&mut Value<'a>, &str) -> Result<usize, Failure>;

/// What the pointer names.
#[must_use]
pub fn get<'v, 'a>(root: &'v Value<'a>, pointer: &Pointer) -> Option<&'v Value<'a>> {
    pointer
        .tokens()
        .iter()
        .try_fold(root, |value, token| match value {
            Value::Array(array) => {
                let element = array.elements.get(index(token)?)?;
                Some(&element.value)
            }
            _ => value.member(token),
        })
}

/// Takes out what the pointer names; how many values that were. Of the whole, `null` is left.
///
/// # Errors
///
/// [`Failure::Work`].
pub fn remove(root: &mut Value<'_>, pointer: &Pointer, fuel: &Fuel) -> Result<usize, Failure> {
    let Some((last, parents)) = pointer.tokens().split_last() else {
        *root = Value::Null;
        return Ok(1);
    };
    each(root, parents, last, fuel, &mut |parent, token| {
        Ok(match parent {
            Value::Array(array) => match index(token) {
                Some(at) if at < array.elements.len() => {
                    fuel.spend(array.elements.len() / 16)?;
                    take_element(Rc::make_mut(array), at);
                    1
                }
                _ => 0,
            },
            Value::Object(object) if has(object, token) => {
                take_members(Rc::make_mut(object), &|member| !member.key.says(token))
            }
            _ => 0,
        })
    })
}

/// Puts `value` in the place of what the pointer names; how many values that were.
///
/// # Errors
///
/// [`Failure::Work`].
pub fn replace<'a>(
    root: &mut Value<'a>,
    pointer: &Pointer,
    value: &Value<'a>,
    fuel: &Fuel,
) -> Result<usize, Failure> {
    let Some((last, parents)) = pointer.tokens().split_last() else {
        *root = value.clone();
        return Ok(1);
    };
    each(root, parents, last, fuel, &mut |parent, token| {
        Ok(match parent {
            Value::Array(array) => match index(token) {
                Some(at) if at < array.elements.len() => {
                    if let Some(element) = Rc::make_mut(array).elements.get_mut(at) {
                        element.value = value.clone();
                    }
                    1
                }
                _ => 0,
            },
            Value::Object(object) if has(object, token) => {
                let members = Rc::make_mut(object).members.iter_mut();
                members
                    .filter(|member| member.key.says(token))
                    .map(|member| member.value = value.clone())
                    .count()
            }
            _ => 0,
        })
    })
}

/// Adds `value` as JSON Patch does (RFC 6902, 4.1): a member is set, an element is put before the one
/// of that index, and `-` is the end of an array. How many places there were to add it to.
///
/// # Errors
///
/// [`Failure::Work`].
pub fn add<'a>(
    root: &mut Value<'a>,
    pointer: &Pointer,
    value: &Value<'a>,
    fuel: &Fuel,
) -> Result<usize, Failure> {
    let Some((last, parents)) = pointer.tokens().split_last() else {
        *root = value.clone();
        return Ok(1);
    };
    each(root, parents, last, fuel, &mut |parent, token| {
        Ok(match parent {
            Value::Array(array) => {
                let length = array.elements.len();
                let at = if token == "-" {
                    Some(length)
                } else {
                    index(token)
                };
                match at {
                    Some(at) if at <= length => {
                        fuel.spend(length / 16)?;
                        put_element(Rc::make_mut(array), at, value.clone());
                        1
                    }
                    _ => 0,
                }
            }
            Value::Object(object) => {
                put_member(Rc::make_mut(object), token, value);
                1
            }
            _ => 0,
        })
    })
}

/// Sets what the pointer names: as [`add`], but elements that are there are replaced, and objects on the
/// way are made where they are missing.
///
/// # Errors
///
/// [`Failure::Work`].
pub fn set<'a>(
    root: &mut Value<'a>,
    pointer: &Pointer,
    value: &Value<'a>,
    fuel: &Fuel,
) -> Result<usize, Failure> {
    let replaced = replace(root, pointer, value, fuel)?;
    if replaced > 0 {
        return Ok(replaced);
    }
    let tokens = pointer.tokens();
    for depth in 0..tokens.len() {
        let above = Pointer::of(&tokens[..depth]);
        let Some(here) = get(root, &above) else {
            return Ok(0);
        };
        if depth + 1 < tokens.len()
            && matches!(here, Value::Object(_))
            && here.member(&tokens[depth]).is_none()
        {
            let empty = Value::object([]);
            add(root, &Pointer::of(&tokens[..=depth]), &empty, fuel)?;
        }
    }
    add(root, pointer, value, fuel)
}

/// Gives the members that the pointer names another key, in their places. Other members of that key go.
/// How many members that were.
///
/// # Errors
///
/// [`Failure::Work`].
pub fn rename(
    root: &mut Value<'_>,
    pointer: &Pointer,
    name: &str,
    fuel: &Fuel,
) -> Result<usize, Failure> {
    let Some((last, parents)) = pointer.tokens().split_last() else {
        return Ok(0);
    };
    if last == name {
        return Ok(0);
    }
    each(root, parents, last, fuel, &mut |parent, token| {
        Ok(match parent {
            Value::Object(object) if has(object, token) => {
                let object = Rc::make_mut(object);
                take_members(object, &|member| !member.key.says(name));
                let members = object.members.iter_mut();
                members
                    .filter(|member| member.key.says(token))
                    .map(|member| member.key = Text::Made(encode(name).into()))
                    .count()
            }
            _ => 0,
        })
    })
}

/// Takes out everything but what one of the pointers names, and the objects and arrays around it. How many
/// members and elements that were; of a whole that is neither, `null` is left.
///
/// # Errors
///
/// [`Failure::Work`].
pub fn keep(root: &mut Value<'_>, pointers: &[Pointer], fuel: &Fuel) -> Result<usize, Failure> {
    let paths: Vec<&[String]> = pointers.iter().map(Pointer::tokens).collect();
    if !is_around(root) && !paths.iter().any(|path| path.is_empty()) {
        *root = Value::Null;
        return Ok(1);
    }
    keep_in(root, &paths, fuel)
}

/// Whether other values stand in it.
fn is_around(value: &Value<'_>) -> bool {
    matches!(value, Value::Object(_) | Value::Array(_) | Value::Unread(_))
}

fn keep_in(value: &mut Value<'_>, paths: &[&[String]], fuel: &Fuel) -> Result<usize, Failure> {
    fuel.spend(1 + paths.len())?;
    if paths.iter().any(|path| path.is_empty()) {
        return Ok(0);
    }
    let Value::Object(object) = value else {
        // Within an array, the pointers say what is kept of each element.
        let Value::Array(array) = value else {
            return Ok(0);
        };
        fuel.spend(array.elements.len())?;
        let array = Rc::make_mut(array);
        let mut taken = take_elements(array, &|element| is_around(&element.value));
        for element in &mut array.elements {
            taken += keep_in(&mut element.value, paths, fuel)?;
        }
        return Ok(taken);
    };
    let object = Rc::make_mut(object);
    fuel.spend(object.members.len() * paths.len())?;
    let named = |member: &Member<'_>| {
        let names = |path: &&[String]| match path.split_first() {
            Some((name, rest)) => {
                member.key.says(name) && (rest.is_empty() || is_around(&member.value))
            }
            None => false,
        };
        paths.iter().any(names)
    };
    let mut taken = take_members(object, &named);
    for member in &mut object.members {
        let below = paths.iter().filter_map(|path| match path.split_first() {
            Some((name, rest)) if member.key.says(name) => Some(rest),
            _ => None,
        });
        let below: Vec<&[String]> = below.collect();
        taken += keep_in(&mut member.value, &below, fuel)?;
    }
    Ok(taken)
}

/// Changes what stands at the end of `parents`, in each place that it names.
fn each<'a>(
    value: &mut Value<'a>,
    parents: &[String],
    last: &str,
    fuel: &Fuel,
    change: Change<'_, 'a>,
) -> Result<usize, Failure> {
    fuel.spend(1)?;
    let Some((token, rest)) = parents.split_first() else {
        if let Value::Object(object) = value {
            fuel.spend(object.members.len())?;
        }
        return change(value, last);
    };
    match value {
        Value::Array(array) => {
            let Some(at) = index(token).filter(|at| *at < array.elements.len()) else {
                return Ok(0);
            };
            match Rc::make_mut(array).elements.get_mut(at) {
                Some(element) => each(&mut element.value, rest, last, fuel, change),
                None => Ok(0),
            }
        }
        Value::Object(object) => {
            fuel.spend(object.members.len())?;
            if !has(object, token) {
                return Ok(0);
            }
            let mut count = 0;
            for member in &mut Rc::make_mut(object).members {
                if member.key.says(token) {
                    count += each(&mut member.value, rest, last, fuel, change)?;
                }
            }
            Ok(count)
        }
        _ => Ok(0),
    }
}

fn has(object: &Object<'_>, name: &str) -> bool {
    object.members.iter().any(|member| member.key.says(name))
}

fn take_element(array: &mut Array<'_>, at: usize) {
    let taken = array.elements.remove(at);
    let left = array.elements.len();
    // The white space before the closing bracket stays there.
    match array.elements.last_mut() {
        Some(last) if at == left => last.after = taken.after,
        Some(_) => {}
        None => array.blank = "",
    }
    if let (0, Some(first)) = (at, array.elements.first_mut()) {
        first.before = taken.before;
    }
}

fn take_elements(array: &mut Array<'_>, keep: &dyn Fn(&Element<'_>) -> bool) -> usize {
    let count = array.elements.len();
    let (Some(first), Some(last)) = (array.elements.first(), array.elements.last()) else {
        return 0;
    };
    let (before, after) = (first.before, last.after);
    array.elements.retain(keep);
    if array.elements.len() < count {
        if let Some(first) = array.elements.first_mut() {
            first.before = before;
        }
        match array.elements.last_mut() {
            Some(last) => last.after = after,
            None => array.blank = "",
        }
    }
    count - array.elements.len()
}

fn put_element<'a>(array: &mut Array<'a>, at: usize, value: Value<'a>) {
    let mut element = Element::new(value);
    if at == array.elements.len() {
        if let Some(last) = array.elements.last_mut() {
            element.after = std::mem::take(&mut last.after);
            element.before = last.before;
        }
    } else if let Some(next) = array.elements.get(at) {
        element.before = next.before;
    }
    array.elements.insert(at, element);
}

fn take_members(object: &mut Object<'_>, keep: &dyn Fn(&Member<'_>) -> bool) -> usize {
    let count = object.members.len();
    let (Some(first), Some(last)) = (object.members.first(), object.members.last()) else {
        return 0;
    };
    let (before, after) = (first.before, last.after);
    object.members.retain(keep);
    if object.members.len() < count {
        if let Some(first) = object.members.first_mut() {
            first.before = before;
        }
        match object.members.last_mut() {
            Some(last) => last.after = after,
            None => object.blank = "",
        }
    }
    count - object.members.len()
}

fn put_member<'a>(object: &mut Object<'a>, name: &str, value: &Value<'a>) {
    let mut is_there = false;
    for member in &mut object.members {
        if member.key.says(name) {
            member.value = value.clone();
            is_there = true;
        }
    }
    if is_there {
        return;
    }
    let mut member = Member::new(Text::Made(encode(name).into()), value.clone());
    if let Some(last) = object.members.last_mut() {
        member.after = std::mem::take(&mut last.after);
        member.before = last.before;
        member.between = last.between;
    }
    object.members.push(member);
}

#[cfg(test)]
mod tests;
