"""The warehouse side: lake, dbt, nightly run, reports."""
