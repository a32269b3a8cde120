//! Columns between arrow-rs and polars without copying, through Arrow's C Data Interface.
//!
//! <https://arrow.apache.org/docs/format/CDataInterface.html>: both libraries define the two C structures of that
//! standard, so that a structure made by one is what the other reads, and carries the function that releases it.

use arrow::array::{Array, ArrayRef, make_array};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi, to_ffi};
use polars::prelude::{CompatLevel, PolarsResult, Series, polars_err};
use polars_arrow::ffi as polars_ffi;

const _: () = assert!(size_of::<FFI_ArrowArray>() == size_of::<polars_ffi::ArrowArray>());
const _: () = assert!(size_of::<FFI_ArrowSchema>() == size_of::<polars_ffi::ArrowSchema>());

/// A polars series of an arrow column.
///
/// Fixed-size lists become variable lists: polars' SQL functions `ARRAY_SUM`, `ARRAY_GET`, … know only those.
/// Dictionaries become their values: polars takes only those of text.
pub(crate) fn to_series(name: &str, array: &ArrayRef) -> PolarsResult<Series> {
    let polars_error = |error: ArrowError| polars_err!(ComputeError: "{error}");
    let array = match array.data_type() {
        DataType::FixedSizeList(item, _) => {
            cast(array, &DataType::LargeList(item.clone())).map_err(polars_error)?
        }
        DataType::Dictionary(_, values) => cast(array, values).map_err(polars_error)?,
        _ => array.clone(),
    };
    let (array, schema) = to_ffi(&array.to_data()).map_err(polars_error)?;
    // SAFETY: both sides are the `repr(C)` structures of the standard, exported from valid data; ownership moves.
    let array = unsafe { std::mem::transmute::<FFI_ArrowArray, polars_ffi::ArrowArray>(array) };
    let schema = unsafe { std::mem::transmute::<FFI_ArrowSchema, polars_ffi::ArrowSchema>(schema) };
    // SAFETY: `schema` and `array` describe each other and follow the standard.
    let column = unsafe {
        let field = polars_ffi::import_field_from_c(&schema)?;
        polars_ffi::import_array_from_c(array, field.dtype)?
    };
    Series::from_arrow(name.into(), column)
}

/// The arrow column of a polars series.
pub(crate) fn to_array(series: &Series) -> Result<ArrayRef, ArrowError> {
    let column = series.rechunk().to_arrow(0, CompatLevel::oldest());
    let field = polars_arrow::datatypes::Field::new(series.name().clone(), column.dtype().clone(), true);
    let schema = polars_ffi::export_field_to_c(&field);
    let array = polars_ffi::export_array_to_c(column);
    // SAFETY: as in `to_series`, the other way round.
    let schema = unsafe { std::mem::transmute::<polars_ffi::ArrowSchema, FFI_ArrowSchema>(schema) };
    let array = unsafe { std::mem::transmute::<polars_ffi::ArrowArray, FFI_ArrowArray>(array) };
    // SAFETY: `schema` and `array` describe each other and follow the standard.
    Ok(make_array(unsafe { from_ffi(array, &schema) }?))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use arrow::array::*;
    use arrow::datatypes::{Float32Type, Int32Type};

    fn round_trip(array: &ArrayRef) -> ArrayRef {
        to_array(&to_series("x", array).unwrap()).unwrap()
    }

    fn arrays() -> Vec<ArrayRef> {
        vec![
            Arc::new(Float32Array::from(vec![Some(1.5), None, Some(-2.0), Some(4.0), None])),
            Arc::new(UInt8Array::from(vec![1, 2, 3, 4, 255])),
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false), Some(true), Some(true)])),
            Arc::new(Int64Array::from(vec![i64::MIN, -1, 0, 1, i64::MAX])),
            cast(&Float32Array::from(vec![0.5, 1.0, 2.0, 3.0, 65504.0]), &DataType::Float16).unwrap(),
        ]
    }

    #[test]
    fn values_and_nulls_survive_whole_and_in_slices() {
        for array in arrays() {
            assert_eq!(&round_trip(&array), &array);
            let slice = array.slice(1, 3);
            assert_eq!(&round_trip(&slice), &slice, "slice of {}", array.data_type());
            assert_eq!(round_trip(&array.slice(0, 0)).len(), 0);
        }
    }

    #[test]
    fn lists_of_both_kinds_arrive_as_lists() {
        let rows = [vec![1.0, 2.0], vec![3.0, 4.0], vec![5.0, 6.0]];
        let rows = || rows.iter().map(|row| Some(row.iter().map(|&x| Some(x)).collect::<Vec<Option<f32>>>()));
        let expected = LargeListArray::from_iter_primitive::<Float32Type, _, _>(rows().skip(1));
        let fixed: ArrayRef =
            Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(rows(), 2));
        let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(rows()));
        for array in [fixed, list] {
            let back = round_trip(&array.slice(1, 2));
            for row in 0..2 {
                assert_eq!(back.as_list::<i64>().value(row).as_ref(), expected.value(row).as_ref());
            }
        }
    }

    #[test]
    fn structures_and_text_arrive() {
        let charge: ArrayRef = Arc::new(Int32Array::from(vec![1, -1]));
        let name: ArrayRef = Arc::new(StringArray::from(vec![Some("e"), None]));
        let pair: ArrayRef =
            Arc::new(StructArray::try_from(vec![("charge", charge), ("name", name)]).unwrap());
        let back = round_trip(&pair);
        let members = back.as_struct();
        assert_eq!(members.column(0).as_primitive::<Int32Type>().values(), &[1, -1]);
        assert_eq!(cast(members.column(1), &DataType::Utf8).unwrap().as_string::<i32>().value(0), "e");
        assert!(members.column(1).is_null(1));
    }
}
