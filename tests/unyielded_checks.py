"""What scikit-learn runs on its own estimators and `parametrize_with_checks` leaves out."""

import sklearn.utils.estimator_checks as checks

NAMES = [
    "check_dataframe_column_names_consistency",
    "check_get_feature_names_out_error",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
    "check_inplace_ensure_writeable",
    "check_param_validation",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    # In some versions only.
    "check_estimator_get_tags_default_keys",
    "check_n_features_in_after_fitting",
    "check_valid_tag_types",
]
MORE = [name for name in NAMES if hasattr(checks, name)]
