//! Arrow columns as `f32` matrices `[events, width]`, with every value checked.

use arrow::array::{Array, ArrayRef, AsArray, GenericListArray, OffsetSizeTrait};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use ndarray::Array2;

/// Why a column cannot be a matrix, and the first row of the array where that shows.
#[derive(Debug, PartialEq)]
pub(crate) struct Fault {
    pub(crate) row: usize,
    pub(crate) defect: Defect,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Defect {
    NotNumeric,
    Null,
    NotFinite(f64),
    Ragged { found: usize, expected: usize },
}

/// Whether values of this type are single numbers.
pub(crate) fn is_number(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_number(values),
        other => other.is_numeric() || *other == DataType::Boolean,
    }
}

/// Whether values of this type may be a number or a fixed number of numbers.
pub(crate) fn may_be_numbers(data_type: &DataType) -> bool {
    match data_type {
        DataType::FixedSizeList(item, _) | DataType::List(item) | DataType::LargeList(item) => {
            may_be_numbers(item.data_type())
        }
        scalar => is_number(scalar),
    }
}

/// Length of each list level of the first row: `[]` for scalars, `[n]` for a list of n numbers. `None` if not numeric.
///
/// The array must not be empty. Fixed-size lists state the length in their type; other lists by example.
pub(crate) fn shape_of(array: &ArrayRef) -> Option<Vec<usize>> {
    let (length, items) = match array.data_type() {
        DataType::FixedSizeList(_, length) => {
            (usize::try_from(*length).ok()?, array.as_fixed_size_list().value(0))
        }
        DataType::List(_) => (array.as_list::<i32>().value(0).len(), array.as_list::<i32>().value(0)),
        DataType::LargeList(_) => (array.as_list::<i64>().value(0).len(), array.as_list::<i64>().value(0)),
        scalar => return is_number(scalar).then(Vec::new),
    };
    let mut shape = vec![length];
    if length > 0 {
        shape.extend(shape_of(&items)?);
    }
    Some(shape)
}

/// The column as `[rows, Π shape]`.
pub(crate) fn to_matrix(array: &ArrayRef, shape: &[usize]) -> Result<Array2<f32>, Fault> {
    if shape.contains(&0) {
        return Err(Fault { row: 0, defect: Defect::Ragged { found: 0, expected: 1 } });
    }
    let values = flatten(array, shape)?;
    let width = shape.iter().product();
    Ok(Array2::from_shape_vec((array.len(), width), values).expect("every row has Π shape values"))
}

fn flatten(array: &ArrayRef, shape: &[usize]) -> Result<Vec<f32>, Fault> {
    if let Some(row) = first_null(array) {
        return Err(Fault { row, defect: Defect::Null });
    }
    let items = match array.data_type() {
        DataType::FixedSizeList(..) => array.as_fixed_size_list().values().clone(),
        DataType::List(_) => uniform_items(array.as_list::<i32>(), shape)?,
        DataType::LargeList(_) => uniform_items(array.as_list::<i64>(), shape)?,
        _ => return numbers(array),
    };
    // Row i of this level is made of the items i·n … (i+1)·n − 1.
    flatten(&items, &shape[1..]).map_err(|fault| Fault { row: fault.row / shape[0], ..fault })
}

fn first_null(array: &ArrayRef) -> Option<usize> {
    let nulls = array.logical_nulls()?;
    (nulls.null_count() > 0).then(|| (0..array.len()).find(|&row| nulls.is_null(row))).flatten()
}

fn uniform_items<O: OffsetSizeTrait>(list: &GenericListArray<O>, shape: &[usize]) -> Result<ArrayRef, Fault> {
    let offsets = list.value_offsets();
    let expected = shape[0];
    let lengths = offsets.windows(2).map(|pair| (pair[1] - pair[0]).as_usize());
    if let Some((row, found)) = lengths.enumerate().find(|(_, length)| *length != expected) {
        return Err(Fault { row, defect: Defect::Ragged { found, expected } });
    }
    let (start, end) = (offsets[0].as_usize(), offsets[list.len()].as_usize());
    Ok(list.values().slice(start, end - start))
}

fn numbers(array: &ArrayRef) -> Result<Vec<f32>, Fault> {
    let not_numeric = || Fault { row: 0, defect: Defect::NotNumeric };
    if !is_number(array.data_type()) {
        return Err(not_numeric());
    }
    let single = cast(array, &DataType::Float32).map_err(|_| not_numeric())?;
    let values = single.as_primitive::<Float32Type>().values();
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(values.to_vec()),
        Some(row) => {
            let exact = cast(&array.slice(row, 1), &DataType::Float64).map_err(|_| not_numeric())?;
            Err(Fault { row, defect: Defect::NotFinite(exact.as_primitive::<Float64Type>().value(0)) })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use arrow::array::*;
    use arrow::datatypes::*;
    use ndarray::array;

    fn matrix(array: impl Array + 'static) -> Result<Array2<f32>, Fault> {
        let array: ArrayRef = Arc::new(array);
        let shape = shape_of(&array).expect("numeric");
        to_matrix(&array, &shape)
    }

    fn lists(rows: Vec<Option<Vec<Option<f32>>>>) -> ListArray {
        ListArray::from_iter_primitive::<Float32Type, _, _>(rows)
    }

    #[test]
    fn every_number_type_is_read() {
        let expected = array![[0.0], [1.0], [3.0]];
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(Int8Array::from(vec![0, 1, 3])),
            Arc::new(Int16Array::from(vec![0, 1, 3])),
            Arc::new(Int32Array::from(vec![0, 1, 3])),
            Arc::new(Int64Array::from(vec![0, 1, 3])),
            Arc::new(UInt8Array::from(vec![0, 1, 3])),
            Arc::new(UInt16Array::from(vec![0, 1, 3])),
            Arc::new(UInt32Array::from(vec![0, 1, 3])),
            Arc::new(UInt64Array::from(vec![0, 1, 3])),
            Arc::new(Float32Array::from(vec![0.0, 1.0, 3.0])),
            Arc::new(Float64Array::from(vec![0.0, 1.0, 3.0])),
            cast(&Float32Array::from(vec![0.0, 1.0, 3.0]), &DataType::Float16).unwrap(),
            cast(&Float64Array::from(vec![0.0, 1.0, 3.0]), &DataType::Decimal128(9, 3)).unwrap(),
            Arc::new(
                DictionaryArray::<Int8Type>::try_new(
                    Int8Array::from(vec![1, 2, 0]),
                    Arc::new(Float64Array::from(vec![3.0, 0.0, 1.0])),
                )
                .unwrap(),
            ),
        ];
        for array in arrays {
            assert_eq!(to_matrix(&array, &[]).unwrap(), expected, "{}", array.data_type());
        }
        assert_eq!(matrix(BooleanArray::from(vec![true, false])).unwrap(), array![[1.0], [0.0]]);
    }

    #[test]
    fn lists_of_one_length_are_rows_even_in_a_slice() {
        let list = lists(vec![
            Some(vec![Some(9.0)]),
            Some(vec![Some(1.0), Some(2.0)]),
            Some(vec![Some(3.0), Some(4.0)]),
        ]);
        assert_eq!(matrix(list.slice(1, 2)).unwrap(), array![[1.0, 2.0], [3.0, 4.0]]);
        let fixed = FixedSizeListArray::from_iter_primitive::<Int32Type, _, _>(
            (0..3).map(|row| Some(vec![Some(row), Some(row + 10)])),
            2,
        );
        assert_eq!(matrix(fixed.slice(1, 2)).unwrap(), array![[1.0, 11.0], [2.0, 12.0]]);
    }

    #[test]
    fn faults_name_the_first_row() {
        let fault = |list| matrix(list).unwrap_err();
        let ragged =
            lists(vec![Some(vec![Some(1.0), Some(2.0)]), Some(vec![Some(1.0), Some(2.0)]), Some(vec![])]);
        assert_eq!(fault(ragged), Fault { row: 2, defect: Defect::Ragged { found: 0, expected: 2 } });
        let null = lists(vec![Some(vec![Some(1.0), Some(2.0)]), Some(vec![Some(1.0), None])]);
        assert_eq!(fault(null), Fault { row: 1, defect: Defect::Null });
        let infinite =
            lists(vec![Some(vec![Some(1.0), Some(2.0)]), Some(vec![Some(1.0), Some(f32::INFINITY)])]);
        assert_eq!(fault(infinite), Fault { row: 1, defect: Defect::NotFinite(f64::INFINITY) });
        let empty = lists(vec![Some(vec![]), Some(vec![Some(1.0)])]);
        assert_eq!(fault(empty), Fault { row: 0, defect: Defect::Ragged { found: 0, expected: 1 } });
    }

    #[test]
    fn numbers_beyond_f32_are_reported_as_stored() {
        let fault = matrix(Float64Array::from(vec![1.0, -1e300])).unwrap_err();
        assert_eq!(fault, Fault { row: 1, defect: Defect::NotFinite(-1e300) });
    }

    #[test]
    fn strings_are_not_numbers() {
        let array: ArrayRef = Arc::new(StringArray::from(vec!["1"]));
        assert_eq!(shape_of(&array), None);
        assert_eq!(to_matrix(&array, &[]).unwrap_err().defect, Defect::NotNumeric);
    }
}
