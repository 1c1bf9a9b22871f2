"""Airflow DAGs. Read by Airflow in an environment of its own: they import nothing of ours."""
