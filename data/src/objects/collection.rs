//! Where the objects of a collection stand in a file, and how they become a table with one row for each.

use std::collections::BTreeSet;

use arrow::array::{Array, ArrayRef, AsArray, GenericListArray, OffsetSizeTrait, RecordBatch, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema};

use crate::DataError;

/// A collection: the objects of an event, such as its jets.
///
/// Its members stand in columns of lists, `NAME_member`, one list an event (as in NanoAOD), or in one column `NAME` of
/// lists of structs. Either way a member is addressed as `NAME_member`.
#[derive(Clone, Debug, PartialEq)]
pub struct Collection {
    name: String,
    members: Vec<Member>,
}

/// One quantity of the objects.
#[derive(Clone, Debug, PartialEq)]
struct Member {
    /// `NAME_member`
    name: String,
    /// Column of the file.
    column: String,
    /// Position within the struct, where the column holds structs.
    field: Option<usize>,
    item: DataType,
}

/// Objects of several events, all columns one after the other.
pub(super) struct Flat {
    /// Of each event its first object, and behind them the number of objects.
    pub(super) offsets: Vec<usize>,
    /// The members asked for, in order.
    pub(super) members: Vec<ArrayRef>,
}

impl Collection {
    /// The collection `name` of a schema; `place` names the file in messages.
    ///
    /// # Errors
    /// If no column holds it; the message offers the nearest collection.
    pub fn find(schema: &Schema, name: &str, place: &str) -> Result<Self, DataError> {
        let mut members = Vec::new();
        for field in schema.fields() {
            let Some(item) = item_of(field.data_type()) else { continue };
            match item.data_type() {
                DataType::Struct(fields) if field.name() == name => {
                    members.extend(fields.iter().enumerate().map(|(position, member)| Member {
                        name: format!("{name}_{}", member.name()),
                        column: name.to_owned(),
                        field: Some(position),
                        item: member.data_type().clone(),
                    }));
                }
                other if field.name().strip_prefix(name).is_some_and(|rest| rest.starts_with('_')) => {
                    members.push(Member {
                        name: field.name().clone(),
                        column: field.name().clone(),
                        field: None,
                        item: other.clone(),
                    });
                }
                _ => {}
            }
        }
        if members.is_empty() {
            let known = collections(schema);
            return Err(DataError::UnknownCollection {
                collection: name.to_owned(),
                place: place.to_owned(),
                hint: crate::name_hint("collections", name, known.iter().map(String::as_str)),
            });
        }
        Ok(Self { name: name.to_owned(), members })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The members as fields of a table with one row for every object.
    pub(super) fn fields(&self) -> impl Iterator<Item = Field> {
        self.members.iter().map(|member| Field::new(&member.name, member.item.clone(), true))
    }

    pub(super) fn has(&self, member: &str) -> bool {
        self.members.iter().any(|known| known.name == member)
    }

    /// Columns of the file that hold these members; those that are none are left out.
    pub(super) fn columns(&self, members: &[String]) -> BTreeSet<String> {
        let wanted = self.members.iter().filter(|member| members.contains(&member.name));
        wanted.map(|member| member.column.clone()).collect()
    }

    /// The members `wanted` of all objects of a batch; `rows` and `place` name an event in messages. A null list holds no
    /// objects. With none wanted, the first member decides how many objects there are.
    pub(super) fn flatten(
        &self,
        batch: &RecordBatch,
        wanted: &[String],
        rows: &[u64],
        place: &str,
    ) -> Result<Flat, DataError> {
        let mut offsets: Option<(Vec<usize>, &str)> = None;
        let mut members = Vec::with_capacity(wanted.len());
        for name in wanted {
            let member = self.members.iter().find(|member| member.name == *name).ok_or_else(|| {
                let names = self.members.iter().map(|member| member.name.as_str());
                DataError::unknown_column(name, format!("collection `{}` of {place}", self.name), names)
            })?;
            let list = batch.column_by_name(&member.column).expect("the columns of the members are read");
            let (found, items) = parts(list)?;
            match &offsets {
                None => offsets = Some((found, &member.name)),
                Some((first, of)) => compare([first, &found], [of, &member.name], rows, place)?,
            }
            members.push(match member.field {
                None => items,
                Some(position) => of_struct(&items, position, &member.name, place)?,
            });
        }
        Ok(Flat { offsets: offsets.map(|(offsets, _)| offsets).unwrap_or_default(), members })
    }

    /// The member that counts the objects where no other is needed.
    pub(super) fn first_member(&self) -> &str {
        &self.members[0].name
    }
}

/// Names that address a collection.
fn collections(schema: &Schema) -> BTreeSet<String> {
    let lists = schema.fields().iter().filter_map(|field| Some((field, item_of(field.data_type())?)));
    lists
        .filter_map(|(field, item)| match item.data_type() {
            DataType::Struct(_) => Some(field.name().clone()),
            _ => field.name().split_once('_').map(|(name, _)| name.to_owned()),
        })
        .collect()
}

/// The items of a type of lists.
fn item_of(data_type: &DataType) -> Option<&Field> {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) => Some(item),
        _ => None,
    }
}

/// Offsets from 0 and items of a list column.
pub(super) fn parts(list: &ArrayRef) -> Result<(Vec<usize>, ArrayRef), DataError> {
    match list.data_type() {
        DataType::List(_) => of_list(list.as_list::<i32>()),
        DataType::LargeList(_) => of_list(list.as_list::<i64>()),
        other => unreachable!("members are lists, not {other}"),
    }
}

fn of_list<O: OffsetSizeTrait>(list: &GenericListArray<O>) -> Result<(Vec<usize>, ArrayRef), DataError> {
    let ends = list.value_offsets();
    let mut offsets = Vec::with_capacity(list.len() + 1);
    offsets.push(0);
    let mut hidden = false;
    for (event, pair) in ends.windows(2).enumerate() {
        let length = (pair[1] - pair[0]).as_usize();
        hidden |= length > 0 && list.is_null(event);
        offsets.push(offsets[event] + if list.is_null(event) { 0 } else { length });
    }
    let (first, last) = (ends[0].as_usize(), ends[list.len()].as_usize());
    if !hidden {
        return Ok((offsets, list.values().slice(first, last - first)));
    }
    // Null lists may have items behind them: they do not count.
    let valid = (0..list.len()).filter(|&event| list.is_valid(event));
    let indices = valid.flat_map(|event| ends[event].as_usize() as u64..ends[event + 1].as_usize() as u64);
    let items = take(list.values(), &UInt64Array::from_iter_values(indices), None)?;
    Ok((offsets, items))
}

fn of_struct(items: &ArrayRef, position: usize, member: &str, place: &str) -> Result<ArrayRef, DataError> {
    let structs = items.as_struct();
    if structs.null_count() > 0 {
        return Err(DataError::NullObject { column: member.to_owned(), place: place.to_owned() });
    }
    Ok(structs.column(position).clone())
}

/// Lists of one collection must have one length in every event.
fn compare(
    [first, other]: [&[usize]; 2],
    names: [&str; 2],
    rows: &[u64],
    place: &str,
) -> Result<(), DataError> {
    let length = |offsets: &[usize], event: usize| offsets[event + 1] - offsets[event];
    match (0..rows.len()).find(|&event| length(first, event) != length(other, event)) {
        None => Ok(()),
        Some(event) => Err(DataError::UnequalLists {
            columns: Box::new(names.map(str::to_owned)),
            lengths: [length(first, event), length(other, event)],
            row: rows[event],
            place: place.to_owned(),
        }),
    }
}
