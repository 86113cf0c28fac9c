"""test_alerts.py - the dashboard and the alerts that are installed: they are sound, and ask for metrics that there are."""

import json
import os
import re
import shutil
import unittest

import harness
import http_case
from http_case import ask, promtool

FOLDER = os.path.join(harness.ROOT, 'systemd', 'grafana')
RULES = os.path.join(FOLDER, 'repstore.rules.yml')
OPERATING = os.path.join(harness.ROOT, 'daemon', 'OPERATING.md')

# Series by which each alert fires after the minutes that are given, and which do not let it fire. A minute a value.
CAUSES = {
    'RepstoreDown': (5, {'up{job="repstore"}': '0x200'}, {'up{job="repstore"}': '1x200'}),
    'RepstoreNotReady': (5, {'repstore_ready': '0x200'}, {'repstore_ready': '1x200'}),
    'RepstoreReadOnly': (1, {'repstore_read_only': '1x200'}, {'repstore_read_only': '0x200'}),
    'RepstoreDamaged': (1, {'repstore_segments{state="damaged"}': '1x200'},
                        {'repstore_segments{state="damaged"}': '0x200', 'repstore_segments{state="ready"}': '1x200'}),
    'RepstoreDamagedOnDisk': (1, {'repstore_verification_last_damaged': '0 2x200'},
                              {'repstore_verification_last_damaged': '2 0x200'}),
    'RepstoreHitShareFell': (
        1500,
        {'repstore_keys_total{table="ur",result="found"}': '0+900x1440 1296900+700x200',
         'repstore_keys_total{table="ur",result="absent"}': '0+100x1440 144100+300x200'},
        {'repstore_keys_total{table="ur",result="found"}': '0+900x1700',
         'repstore_keys_total{table="ur",result="absent"}': '0+100x1700'}),
    'RepstoreErrors': (15, {'repstore_requests_total{method="put",code="IO"}': '_x12 1x200'},
                       {'repstore_requests_total{method="put",code="IO"}': '1x200',
                        'repstore_requests_total{method="put",code="NOT_FOUND"}': '0+1x200'}),
    'RepstoreBusy': (30, {'repstore_requests_total{method="fetch",code="BUSY"}': '0+5x200'},
                     {'repstore_requests_total{method="fetch",code="BUSY"}': '5x200'}),
    'RepstoreSyncSlow': (30, {'repstore_sync_duration_seconds_bucket{le="0.05"}': '0+90x200',
                              'repstore_sync_duration_seconds_bucket{le="0.1"}': '0+100x200',
                              'repstore_sync_duration_seconds_bucket{le="+Inf"}': '0+100x200'},
                         {'repstore_sync_duration_seconds_bucket{le="0.05"}': '0+100x200',
                          'repstore_sync_duration_seconds_bucket{le="+Inf"}': '0+100x200'}),
    'RepstoreWritesPileUp': (10, {'repstore_log_bytes': '71x200', 'repstore_log_limit_bytes': '100x200'},
                             {'repstore_log_bytes': '69x200', 'repstore_log_limit_bytes': '100x200'}),
    'RepstoreMergeFails': (10, {'repstore_merges_total{result="failed"}': '0x5 1x200'},
                           {'repstore_merges_total{result="failed"}': '1x200', 'repstore_merges_total{result="ok"}': '0+1x200'}),
    'RepstoreNotInMemory': (15, {'repstore_resident_ratio{table="ur"}': '0.8x200'},
                            {'repstore_resident_ratio{table="ur"}': '0.95x200'}),
    'RepstoreDiskFills': (400, {'repstore_data_free_bytes': '1000000-1000x900'},
                          {'repstore_data_free_bytes': '10000000-1000x900'}),
    'RepstoreNotPublished': (2200, {'repstore_release_published_timestamp_seconds': '0x3000'},
                             {'repstore_release_published_timestamp_seconds': '100000x3000'}),
    # One that was started anew says 0, as one that never made a backup.
    'RepstoreNotBackedUp': (4000, {'repstore_backup_last_success_timestamp_seconds{instance="a"}': '60000x1000 0x4000',
                                   'process_start_time_seconds{instance="a"}': '0x1000 60060x4000'},
                            {'repstore_backup_last_success_timestamp_seconds{instance="a"}': '0x1990 120000x8 0x4000',
                             'process_start_time_seconds{instance="a"}': '0x2000 120000x3000',
                             'process_start_time_seconds{instance="b"}': '0x5000'}),
    'RepstoreCertificateEnds': (10, {'repstore_tls_certificate_not_after_timestamp_seconds': '864000x100'},
                                {'repstore_tls_certificate_not_after_timestamp_seconds': '2592000x100'}),
}
# Only where there is an address of tls:, of which test_tls.py asks.
TLS = {'repstore_tls_certificate_not_after_timestamp_seconds'}


def metrics_of(expression):
    """The names of metrics in a query: what is neither a function, a label nor a keyword."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(by|without|on|ignoring)\s*\([^)]*\)', ' ', expression)
    return set(re.findall(r'\b(?:repstore|process)_\w+', bare))


def alerts():
    """{name: expression}"""
    with open(RULES) as file:
        text = file.read()
    found = {}
    for part in text.split('- alert: ')[1:]:
        expression = part.split('expr:', 1)[1].split('\n        for:')[0].split('\n        labels:')[0]
        found[part.split()[0]] = expression.lstrip().lstrip('|')
    return found


def queries():
    """Every query of the dashboard, with its variables filled in."""
    with open(os.path.join(FOLDER, 'repstore.json')) as file:
        dashboard = json.load(file)
    found = [each['expr'] for each in dashboard['annotations']['list']]
    for panel in dashboard['panels']:
        found += [target['expr'] for target in panel.get('targets', [])]
    return [each.replace('$instance', '.*').replace('$__rate_interval', '5m') for each in found]


class Named(http_case.HttpCase):
    def test_each_metric_is_there(self):
        self.start_http('--backup-folder', self.scratch)
        self.make_live()
        self.use_everything()
        self.await_true(lambda: 'repstore_request_duration_seconds_count{method="fetch"} 2' in
                        ask(self.address, '/metrics')[2])
        there = set(self.metrics())
        for expression in queries() + list(alerts().values()):
            names = metrics_of(expression)
            self.assertTrue(names or expression.startswith('up{'), expression)
            self.assertEqual(names - there - TLS, set(), expression)

    def test_the_page_says_of_each_alert_what_to_do(self):
        with open(OPERATING) as file:
            headings = re.findall(r'^### (Repstore\w+)$', file.read(), re.MULTILINE)
        self.assertEqual(headings, list(alerts()))


@unittest.skipUnless(shutil.which('promtool'), 'promtool is of the package prometheus')
class Checked(harness.Case):
    def test_promtool_finds_no_fault_in_the_rules(self):
        done = promtool('check', 'rules', RULES)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_each_query_of_the_dashboard_can_be_parsed(self):
        rules = [{'record': 'query:number%d' % number, 'expr': query} for number, query in enumerate(queries())]
        with open(self.path('rules'), 'w') as file:
            json.dump({'groups': [{'name': 'dashboard', 'rules': rules}]}, file)     # JSON is YAML
        done = promtool('check', 'rules', self.path('rules'))
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_each_alert_fires_by_its_cause_and_not_without(self):
        self.assertEqual(list(CAUSES), list(alerts()))
        tests = []
        for name, (minutes, cause, no_cause) in CAUSES.items():
            for series, samples in ((cause, [{'labels': '{}', 'value': 1}]), (no_cause, [])):
                tests.append({
                    'name': name, 'interval': '1m',
                    'input_series': [{'series': each, 'values': values} for each, values in series.items()],
                    'promql_expr_test': [{
                        'expr': 'count(ALERTS{alertname="%s",alertstate="firing"})' % name,
                        'eval_time': '%dm' % minutes, 'exp_samples': samples}]})
        with open(self.path('tests'), 'w') as file:
            json.dump({'rule_files': [RULES], 'evaluation_interval': '1m', 'tests': tests}, file)
        done = promtool('test', 'rules', self.path('tests'))
        self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == '__main__':
    harness.main()
