#!/usr/bin/python3
"""Writes saed.json, the Grafana dashboard, from the list of panels below.

    make_dashboard.py            writes deploy/grafana/saed.json
    make_dashboard.py --check    says whether saed.json is what this writes
"""
import json
import pathlib
import sys

FILE = pathlib.Path(__file__).parent / "saed.json"

# Title, unit, [(expression, legend)], of each row two or three panels.
ROWS = [
    ("Queue", [
        ("Jobs waiting and running", "short", [("saed_queue_depth", "waiting"),
                                               ('sum(saed_jobs{state="RUNNING"})', "running"),
                                               ('sum(saed_jobs{state="PAUSED"})', "paused")]),
        ("Threads in use", "percentunit", [("saed_threads_in_use / saed_threads", "of all")]),
        ("Longest wait", "s", [("saed_queue_oldest_age_seconds", "oldest queued job")])]),
    ("People", [
        ("Threads by user", "short", [("saed_user_threads", "{{user}}")]),
        ("Jobs waiting by user", "short", [("saed_user_waiting_jobs", "{{user}}")]),
        ("Core-seconds per second by user, last hour", "short",
         [("sum by (user) (rate(saed_user_core_seconds_total[1h]))", "{{user}}")])]),
    ("Training", [
        ("Windows a second", "short", [("rate(saed_training_windows_total[5m])", "all jobs")]),
        ("Jobs finished an hour", "short",
         [("sum by (state) (increase(saed_jobs_finished_total[1h]))", "{{state}}")]),
        ("Decisions of the scheduler an hour", "short",
         [("increase(saed_scheduler_decisions_total[1h])", "{{decision}}")]),
        ("Time to write a checkpoint, 99 %", "s",
         [("histogram_quantile(0.99, sum by (le) "
           "(rate(saed_checkpoint_duration_seconds_bucket[1h])))", "99 %")])]),
    ("Calls", [
        ("Calls a second by code", "reqps",
         [("sum by (code) (rate(saed_rpc_requests_total[5m]))", "{{code}}")]),
        ("Encode, 50 % and 99 %", "s",
         [(f"histogram_quantile({q}, sum by (le) (rate(saed_encode_duration_seconds_bucket[5m])))",
           name) for q, name in ((0.5, "50 %"), (0.99, "99 %"))]),
        ("Windows encoded a second", "short", [("rate(saed_encoded_windows_total[5m])", "windows")]),
        ("Calls in flight", "short", [("saed_rpc_in_flight", "calls"),
                                      ("saed_watchers", "of them watching")])]),
    ("Machine", [
        ("Resident memory", "bytes", [("process_resident_memory_bytes", "resident")]),
        ("Processor", "percentunit", [("rate(process_cpu_seconds_total[5m])", "cores")]),
        ("Database writes, 99 %", "s",
         [('histogram_quantile(0.99, sum by (le) '
           '(rate(saed_sqlite_transaction_duration_seconds_bucket{kind="write"}[5m])))', "99 %")]),
        ("Bytes received a second", "Bps", [("rate(saed_upload_received_bytes_total[5m])", "uploads")])]),
    ("Room", [
        ("Memory that calls hold", "percentunit",
         [("saed_call_memory_bytes / saed_call_memory_limit_bytes", "of what they may")]),
        ("Stored by user", "bytes", [("saed_user_stored_bytes", "{{user}}"),
                                     ('saed_user_quota{resource="stored_bytes"}',
                                      "{{user}} may")]),
        ("Room on the disk", "bytes", [("saed_data_free_bytes", "free"),
                                       ("saed_data_size_bytes", "all")]),
        ("Age of the last backup", "s", [("time() - saed_last_backup_timestamp_seconds", "age")]),
        ("Backups a day", "short", [("increase(saed_backups_total[1d])", "{{outcome}}")])]),
]


def dashboard():
    source = {"type": "prometheus", "uid": "${source}"}
    panels, number, y = [], 0, 0
    for title, row in ROWS:
        number += 1
        panels.append({"id": number, "type": "row", "title": title, "collapsed": False,
                       "gridPos": {"h": 1, "w": 24, "x": 0, "y": y}, "panels": []})
        width = 24 // len(row)
        for i, (name, unit, targets) in enumerate(row):
            number += 1
            panels.append({
                "id": number, "type": "timeseries", "title": name, "datasource": source,
                "gridPos": {"h": 8, "w": width, "x": i * width, "y": y + 1},
                "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
                "options": {"legend": {"displayMode": "list", "placement": "bottom"}},
                "targets": [{"refId": chr(65 + t), "datasource": source, "expr": expression,
                             "legendFormat": legend}
                            for t, (expression, legend) in enumerate(targets)]})
        y += 9
    return {"uid": "saed", "title": "saed", "tags": ["saed"], "schemaVersion": 37, "version": 1,
            "editable": True, "refresh": "15s", "time": {"from": "now-6h", "to": "now"},
            "templating": {"list": [{"name": "source", "type": "datasource", "label": "Prometheus",
                                     "query": "prometheus", "current": {}}]},
            "panels": panels}


def main():
    text = json.dumps(dashboard(), indent=1) + "\n"
    if "--check" in sys.argv:
        sys.exit(0 if FILE.exists() and FILE.read_text() == text else
                 "saed.json is not what make_dashboard.py writes; run it")
    FILE.write_text(text)


if __name__ == "__main__":
    main()
