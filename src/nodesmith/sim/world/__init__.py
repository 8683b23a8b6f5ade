"""The cluster around nodesmith, played: workload controllers, kube-scheduler, kubelets, and what happens to them."""
